"""Acts that start or cancel a run. Partitions passed over are named with the reason; a run of none is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from datetime import date
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import models, transaction
from django_celery_beat.models import PeriodicTask

from pipeline import task_names
from pipeline.engine import canvas, schedules
from pipeline.finra.calendar import PartitionKey, Tier, market_today
from pipeline.finra.sources.base import MixedData
from pipeline.models import (
    Act,
    Action,
    Capture,
    OperatorLogEntry,
    Partition,
    PartitionStatus,
    Run,
    Trigger,
    data_kinds,
)
from pipeline.operations.orders import ActResult, Order, Refused, carry_out
from pipeline.runs import lifecycle
from pipeline.runs.history import PASSED_OVER
from pipeline.runs.plan import Plan, Step, make_plan
from pipeline.runs.request import OnlyStage, Request
from pipeline.runs.sources import origin_of

NAMED_AT_MOST = 10


def reingest(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Fetch and decide again: the same content stays unchanged, other content becomes a new vintage."""
    return _run_over(Act.REINGEST, partitions, order, lambda: _request(order, "reingest", _keys(partitions)))


def force_reingest(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Capture the source's content, changed or not; a reason is required, and a limit holds for their number."""
    return _run_over(Act.FORCE_REINGEST, partitions, order, partial(_forced, partitions, order))


def _forced(partitions: Collection[Partition], order: Order) -> Request:
    order.with_reason()
    if len(partitions) > settings.MARKETSPINE_MAX_FORCED:
        raise Refused(
            f"{len(partitions)} partitions are selected, and no more than {settings.MARKETSPINE_MAX_FORCED} are "
            "forced at once (MARKETSPINE_MAX_FORCED)"
        )
    return _request(order, "force_reingest", _keys(partitions), force=True)


def renormalize(partitions: Collection[Partition], order: Order) -> OperatorLogEntry:
    """Read the archived payloads again: for a parser that was mended."""
    captured = set(Capture.objects.filter(partition__in=partitions).values_list("partition", flat=True))
    archived = [partition for partition in partitions if partition.pk in captured]
    never = [partition.key for partition in partitions if partition.pk not in captured]
    left_out = [Step(key, Action.SKIP, "nothing is archived") for key in never]
    return _run_over(Act.RENORMALIZE, partitions, order, partial(_renormalized, archived, order), left_out)


def _renormalized(archived: Collection[Partition], order: Order) -> Request:
    if not archived:
        raise Refused("nothing is archived of what is selected: there is nothing to read again")
    return _request(order, "renormalize", _keys(archived), only_stage=OnlyStage.NORMALIZE)


def recompute(weeks: Collection[date], order: Order, subjects: Iterable[models.Model] = ()) -> OperatorLogEntry:
    """Compute the weeks' analytics from the newest captures, and judge their readiness."""
    keys = _keys(Partition.objects.filter(week_ending__in=weeks, latest__isnull=False))
    with_something = {key.week_ending for key in keys}
    every_tier = (PartitionKey(week, tier) for week in weeks if week not in with_something for tier in Tier)
    left_out = [Step(key, Action.SKIP, "nothing is captured") for key in every_tier]
    return carry_out(Act.RECOMPUTE, order, subjects, lambda: start_request(_recomputed(keys, order), left_out))


def _recomputed(keys: Collection[PartitionKey], order: Order) -> Request:
    if not keys:
        raise Refused("nothing is captured of these weeks: there is nothing to compute from")
    return _request(order, "recompute", keys, only_stage=OnlyStage.CALC)


def cancel(run: Run, order: Order) -> OperatorLogEntry:
    """Start no more of a run's partitions; those under way finish."""
    return carry_out(Act.CANCEL_RUN, order, [run], partial(_cancel, run, order))


def _cancel(run: Run, order: Order) -> ActResult:
    try:
        cancelled = lifecycle.cancel(run, by=order.operator, reason=order.reason.strip())
    except lifecycle.HasEnded as error:
        raise Refused(str(error)) from error
    under_way = run.partitions.filter(status=PartitionStatus.RUNNING).count()
    finishing = f" {under_way} under way will finish." if under_way else ""
    unstarted = f"{cancelled} partition{'' if cancelled == 1 else 's'}"
    return ActResult(f"Run {run.pk} is cancelled: {unstarted} will not be started.{finishing}")


def backfill(plan: Plan, order: Order) -> OperatorLogEntry:
    """Start the plan that was shown."""
    return carry_out(Act.BACKFILL, order, (), lambda: _start_plan(plan))


def run_now(schedule: PeriodicTask, order: Order) -> OperatorLogEntry:
    """Start a schedule's run now; of a schedule that starts no runs, send its task."""
    return carry_out(Act.RUN_NOW, order, [schedule], partial(_run_now, schedule, order))


def _run_now(schedule: PeriodicTask, order: Order) -> ActResult:
    if schedule.task == task_names.START_SCHEDULED:
        return start_request(_of_schedule(schedule, order))
    _reach_the_broker()
    transaction.on_commit(partial(_send, schedule))
    return ActResult(f"{schedule.name!r} is sent to the workers.")


def _reach_the_broker() -> None:
    """Refused where the broker cannot be reached."""
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except canvas.UNREACHABLE as error:
        raise Refused(f"the broker cannot be reached: {error}") from error


def _send(schedule: PeriodicTask) -> None:
    """Send the message that beat would send. Called after the log's commit, so that of two clicks one sends."""
    queue = {"queue": schedule.queue} if schedule.queue else {}
    current_app.send_task(
        schedule.task,
        args=json.loads(schedule.args),
        kwargs=json.loads(schedule.kwargs),
        priority=schedule.priority,
        **queue,
    )


def _of_schedule(schedule: PeriodicTask, order: Order) -> Request:
    try:
        return schedules.request_of(schedule, requested_by=order.operator, reason=order.reason, trigger=Trigger.ADMIN)
    except schedules.BadSchedule as error:
        raise Refused(f"the schedule {schedule.name!r} starts no run: {error}") from error


def _start_plan(plan: Plan, left_out: Iterable[Step] = (), launch: Callable[[Plan], Run] = canvas.launch) -> ActResult:
    """Start a run of the partitions that the plan works on; Refused for none. The others are named with their reasons."""
    refuse_mixture(plan.request)
    working = tuple(step for step in plan.steps if step.action not in PASSED_OVER)
    passed = [*(step for step in plan.steps if step.action in PASSED_OVER), *left_out]
    if not working:
        raise Refused(f"nothing to do. {_named(passed)}" if passed else "nothing to do: no partition is in the plan")
    run = launch(Plan(plan.request, working))
    queued = f"Run {run.pk} is queued with {len(working)} partition{'s' if len(working) > 1 else ''}."
    return ActResult(f"{queued} {_named(passed)}".strip(), run)


def refuse_mixture(request: Request) -> None:
    """Refused where the ledger does not take what the run would fetch."""
    try:
        if request.fetches:
            data_kinds.refuse_mixture(request.source)
    except MixedData as error:
        raise Refused(str(error)) from error


def start_request(
    request: Request, left_out: Iterable[Step] = (), launch: Callable[[Plan], Run] = canvas.launch
) -> ActResult:
    """Start without a probe of the source: the run finds out what is there."""
    return _start_plan(make_plan(request, skip_in_flight=True), left_out, launch)


def _run_over(
    act: Act,
    partitions: Collection[Partition],
    order: Order,
    request: Callable[[], Request],
    left_out: Iterable[Step] = (),
) -> OperatorLogEntry:
    return carry_out(act, order, partitions, partial(_start_over, partitions, request, left_out))


def _start_over(
    partitions: Collection[Partition], request: Callable[[], Request], left_out: Iterable[Step]
) -> ActResult:
    if not partitions:
        raise Refused("no partition is selected")
    return start_request(request(), left_out)


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
    """The skipped partitions with their reasons: "Passed over: 2025-11-14 OTC (run 7 has it in flight)."."""
    if not passed:
        return ""
    sentences = "; ".join(f"{step.key} ({step.reason})" for step in passed[:NAMED_AT_MOST])
    more = f"; and {len(passed) - NAMED_AT_MOST} more" if len(passed) > NAMED_AT_MOST else ""
    return f"Passed over: {sentences}{more}."
