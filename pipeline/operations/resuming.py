"""What a run left undone: a run that stopped is resumed, the partitions that failed in one are tried again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from pipeline.engine import canvas
from pipeline.finra.calendar import PartitionKey, market_today
from pipeline.finra.sources import REGISTRY
from pipeline.models import (
    BAD_OUTCOMES,
    Act,
    OperatorLogEntry,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    Trigger,
)
from pipeline.operations.orders import ActResult, Order, Refused, carry_out
from pipeline.operations.reruns import refuse_mixture, start_request
from pipeline.runs import lifecycle
from pipeline.runs.plan import Plan
from pipeline.runs.request import Only, Request
from pipeline.runs.sources import origin_of
from pipeline.runs.stopped import has_stopped, hindrance

GOOD_OUTCOMES = (Outcome.INGESTED, Outcome.RESTATED, Outcome.UNCHANGED)


def resume(run: Run, order: Order, worker: str = "") -> OperatorLogEntry:
    """Resume a run that stopped before its end, on the queue or in the process `worker`; the entry names the run at work.

    A capture bears the day of its run, and so does a verdict. So a run of today goes on itself; what a run of an earlier
    day left, a new run of today does, and the old one is cancelled. One that has closed all of its weeks only ends.
    """
    return carry_out(Act.RESUME_RUN, order, [run], partial(_resume, run, order, worker))


def _resume(run: Run, order: Order, worker: str) -> ActResult:
    run.refresh_from_db()
    request = Request.from_parameters(run.parameters)
    _refuse_what_cannot_go_on(run, request)
    lifecycle.interrupt(run)  # one whose process has died, and that no sweep has met yet
    only_ends = not run.weeks.filter(closed_at__isnull=True).exists()
    if only_ends or run.run_date == market_today():
        return _gone_on(run, worker)
    return _taken_over(run, request, order, worker)


def _refuse_what_cannot_go_on(run: Run, request: Request) -> None:
    if run.status == RunStatus.RUNNING and not has_stopped(run):
        raise Refused(f"run {run.pk} is under way: there is nothing to resume")
    if not has_stopped(run):
        instead = "; retry its failed partitions instead" if run.status == RunStatus.FAILED else ""
        raise Refused(f"run {run.pk} has ended: {run.get_status_display()}{instead}")
    if why := hindrance(run):
        raise Refused(f"run {run.pk} cannot be resumed: {why}")
    refuse_mixture(request)


def _gone_on(run: Run, worker: str) -> ActResult:
    """The run itself is under way again."""
    left = run.partitions.exclude(status=PartitionStatus.DONE).count()
    if not lifecycle.move(run, RunStatus.RUNNING, worker):
        raise Refused(f"run {run.pk} is under way: it was resumed a moment ago")
    if not worker:
        transaction.on_commit(partial(canvas.resume, run))
    return ActResult(f"Run {run.pk} goes on: {left} of {run.partitions.count()} partitions are left.", run)


def _taken_over(run: Run, request: Request, order: Order, worker: str) -> ActResult:
    """A new run does the weeks that the run has not closed."""
    open_weeks = run.weeks.filter(closed_at__isnull=True).values("week_ending")
    left = run.partitions.filter(partition__week_ending__in=open_weeks).select_related("partition")
    again = _again(request, [step.partition.key for step in left], order, command=run.command)
    started = start_request(again, launch=partial(_launch, worker=worker))
    try:
        lifecycle.cancel(run, by=order.operator, reason=f"{started.run} does what it left")
    except lifecycle.HasEnded as error:
        raise Refused(str(error)) from error
    return ActResult(
        f"Run {run.pk} is of {run.run_date}; a run of today does what it left. {started.sentence}", started.run
    )


def _launch(plan: Plan, worker: str) -> Run:
    """The run of the plan: of the process `worker`, which works on it itself, or sent to the workers."""
    return lifecycle.start(plan, worker) if worker else canvas.launch(plan)


def still_failed(run: Run) -> QuerySet[RunPartition]:
    """The partitions that failed in a run, and have not succeeded in a later one."""
    later = RunPartition.objects.filter(
        partition=OuterRef("partition"), pk__gt=OuterRef("pk"), outcome__in=GOOD_OUTCOMES
    )
    return run.partitions.filter(~Exists(later), outcome__in=BAD_OUTCOMES)


def retry_failed(run: Run, order: Order) -> OperatorLogEntry:
    """Do the failed partitions of a run again; Refused while it is under way, and where none failed.

    The new run asks the same source for the same stages, but never by force, which is an act of its own.
    """
    return carry_out(Act.RETRY_FAILED, order, [run], lambda: start_request(_retried(run, order)))


def _retried(run: Run, order: Order) -> Request:
    run.refresh_from_db()
    if run.status == RunStatus.RUNNING:
        raise Refused(f"run {run.pk} is under way: wait for its end, or cancel it")
    if not run.partitions.filter(outcome__in=BAD_OUTCOMES).exists():
        raise Refused(f"no partition of run {run.pk} failed")
    keys = [step.partition.key for step in still_failed(run).select_related("partition")]
    if not keys:
        raise Refused(f"what failed in run {run.pk} has succeeded since")
    return _again(Request.from_parameters(run.parameters), keys, order, command="retry_failed")


def _again(asked: Request, keys: Iterable[PartitionKey], order: Order, *, command: str) -> Request:
    """The same request for some partitions, today and for the operator of the order.

    After a run from a file that somebody named by hand, the source of the settings is asked.
    """
    by_hand = asked.source not in REGISTRY
    return replace(
        asked,
        command=command,
        source=settings.MARKETSPINE_SOURCE if by_hand else asked.source,
        origin=origin_of(settings.MARKETSPINE_SOURCE) if by_hand else asked.origin,
        even_before_due=False,
        run_date=market_today(),
        weeks=None,
        partitions=tuple(keys),
        only=Only.ALL,
        force=False,
        reason=order.reason.strip(),
        requested_by=order.operator,
        trigger=Trigger.CLI if order.account is None else Trigger.ADMIN,
    )
