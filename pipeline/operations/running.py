"""Acts that start a run, or end one: what is passed over is named with its reason, and a run of nothing is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import date

from celery import current_app
from django.conf import settings
from django.db import models
from django_celery_beat.models import PeriodicTask

from pipeline import canvas, runs, schedules
from pipeline.calendar import PartitionKey, market_today
from pipeline.configured import origin_of
from pipeline.models import (
    BAD_OUTCOMES,
    Act,
    Capture,
    OperatorLogEntry,
    Partition,
    PartitionStatus,
    Run,
    RunStatus,
    Trigger,
)
from pipeline.operations.orders import Came, Order, Refused, carry_out
from pipeline.planning import PASSED_OVER, OnlyStage, Plan, Request, Step, make_plan

NAMED_AT_MOST = 10


def reingest(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Fetch and decide again: the same content stays unchanged, other content becomes a new vintage."""
    return _run_over(Act.REINGEST, partitions, order, lambda: _request(order, "reingest", _keys(partitions)))


def force_reingest(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Capture whatever the source holds, changed or not; a reason is required, and no more go at once than the limit."""

    def request() -> Request:
        order.with_reason()
        if len(partitions) > settings.MARKETSPINE_MAX_FORCED:
            raise Refused(
                f"{len(partitions)} partitions are selected, and no more than {settings.MARKETSPINE_MAX_FORCED} are "
                "forced at once (MARKETSPINE_MAX_FORCED)"
            )
        return _request(order, "force_reingest", _keys(partitions), force=True)

    return _run_over(Act.FORCE_REINGEST, partitions, order, request)


def renormalize(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Read the archived payloads again: for a parser that was mended."""

    def request() -> Request:
        archived = Capture.objects.filter(partition__in=partitions).values_list("partition", flat=True)
        held = [partition for partition in partitions if partition.pk in set(archived)]
        if not held:
            raise Refused("nothing is archived of what is selected: there is nothing to read again")
        return _request(order, "renormalize", _keys(held), only_stage=OnlyStage.NORMALIZE)

    return _run_over(Act.RENORMALIZE, partitions, order, request)


def recompute(weeks: Collection[date], order: Order, subjects: Iterable[models.Model] = ()) -> OperatorLogEntry:
    """Compute the weeks' analytics from the newest captures, and judge their readiness."""

    def request() -> Request:
        captured = Partition.objects.filter(week_ending__in=weeks, latest__isnull=False)
        keys = [partition.key for partition in captured]
        if not keys:
            raise Refused("nothing is captured of these weeks: there is nothing to compute from")
        return _request(order, "recompute", keys, only_stage=OnlyStage.CALC)

    return carry_out(Act.RECOMPUTE, order, subjects, lambda: _start(request()))


def retry_failed(run: Run, order: Order) -> OperatorLogEntry:
    """Fetch again what a run could not capture; refused while it is under way, and when nothing went wrong."""

    def request() -> Request:
        run.refresh_from_db()
        if run.status == RunStatus.RUNNING:
            raise Refused(f"run {run.pk} is under way: wait for its end, or cancel it")
        failed = run.partitions.filter(outcome__in=BAD_OUTCOMES).select_related("partition")
        keys = [step.partition.key for step in failed]
        if not keys:
            raise Refused(f"no partition of run {run.pk} failed")
        return _request(order, "retry_failed", keys)

    return carry_out(Act.RETRY_FAILED, order, [run], lambda: _start(request()))


def cancel(run: Run, order: Order) -> OperatorLogEntry:
    """Start no more of a run's partitions; those under way finish."""

    def work() -> Came:
        try:
            cancelled = runs.cancel(run, by=order.operator, reason=order.reason.strip())
        except runs.HasEnded as error:
            raise Refused(str(error)) from error
        under_way = run.partitions.filter(status=PartitionStatus.RUNNING).count()
        finishing = f" {under_way} under way will finish." if under_way else ""
        return Came(f"Run {run.pk} is cancelled: {cancelled} partitions will not be started.{finishing}")

    return carry_out(Act.CANCEL_RUN, order, [run], work)


def backfill(plan: Plan, order: Order) -> OperatorLogEntry:
    """Start the plan that was shown."""
    return carry_out(Act.BACKFILL, order, (), lambda: _start_plan(plan))


def run_now(schedule: PeriodicTask, order: Order) -> OperatorLogEntry:
    """Start what a schedule starts, now: a run where it starts runs, else its task."""

    def work() -> Came:
        if schedule.task == schedules.START_SCHEDULED:
            return _start(_of_schedule(schedule, order))
        try:
            current_app.send_task(schedule.task, kwargs={})
        except canvas.UNREACHABLE as error:
            raise Refused(f"the broker cannot be reached: {error}") from error
        return Came(f"{schedule.name!r} was sent to the workers.")

    return carry_out(Act.RUN_NOW, order, [schedule], work)


def _of_schedule(schedule: PeriodicTask, order: Order) -> Request:
    try:
        return schedules.request_of(schedule, requested_by=order.operator, reason=order.reason, trigger=Trigger.ADMIN)
    except schedules.BadSchedule as error:
        raise Refused(f"the schedule {schedule.name!r} starts no run: {error}") from error


def _start_plan(plan: Plan) -> Came:
    """Start a run of what the plan works on; Refused when that is nothing."""
    working = tuple(step for step in plan.steps if step.action not in PASSED_OVER)
    passed = [step for step in plan.steps if step.action in PASSED_OVER]
    if not working:
        raise Refused(f"nothing to do. {_named(passed)}" if passed else "nothing to do: no partition is in the plan")
    run = canvas.launch(Plan(plan.request, working))
    queued = f"Run {run.pk} is queued with {len(working)} partition{'s' if len(working) > 1 else ''}."
    return Came(f"{queued} {_named(passed)}".strip(), run)


def _start(request: Request) -> Came:
    """At once: no source is asked what it has, the run will find out."""
    return _start_plan(make_plan(request, skip_in_flight=True))


def _run_over(
    act: Act, partitions: Collection[Partition], order: Order, request: Callable[[], Request]
) -> OperatorLogEntry:
    def work() -> Came:
        if not partitions:
            raise Refused("no partition is selected")
        return _start(request())

    return carry_out(act, order, partitions, work)


def _request(
    order: Order,
    command: str,
    keys: Iterable[PartitionKey],
    *,
    force: bool = False,
    only_stage: OnlyStage = OnlyStage.ALL,
) -> Request:
    return Request(
        command=command,
        run_date=market_today(),
        partitions=tuple(keys),
        only_stage=only_stage,
        source=settings.MARKETSPINE_SOURCE,
        origin=origin_of(settings.MARKETSPINE_SOURCE),
        force=force,
        reason=order.reason.strip(),
        requested_by=order.operator,
        trigger=Trigger.ADMIN,
    )


def _keys(partitions: Iterable[Partition]) -> list[PartitionKey]:
    return [partition.key for partition in partitions]


def _named(passed: list[Step]) -> str:
    """What was passed over and why: "Passed over: 2025-11-14 OTC (run 7 has it in flight)."."""
    if not passed:
        return ""
    told = "; ".join(f"{step.key} ({step.reason})" for step in passed[:NAMED_AT_MOST])
    more = f"; and {len(passed) - NAMED_AT_MOST} more" if len(passed) > NAMED_AT_MOST else ""
    return f"Passed over: {told}{more}."
