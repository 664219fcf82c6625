"""Runs: start one from a plan, close its weeks, settle it, cancel it, take back what died.

The rows are the ledger: a partition is claimed (`pipeline.steps`) and a week is closed by one conditional UPDATE, so that
a run may be resumed, or worked on by several processes, without doing anything twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from pipeline import archive_findings, clock, endings, steps, workers
from pipeline.capture import assessment
from pipeline.failures import explained
from pipeline.models import (
    BAD_OUTCOMES,
    FETCHING,
    Action,
    Anomaly,
    Calculation,
    Category,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    RunWeek,
    Severity,
    Stage,
)
from pipeline.models.anomaly import AnomalyQuerySet
from pipeline.planning import PASSED_OVER, OnlyStage, Plan, Request, Step, partitions_for
from pipeline.sources.base import Source
from pipeline.transient import is_transient
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, readiness

logger = logging.getLogger(__name__)

MOVES = {
    RunStatus.RUNNING: (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.CANCELLED),
    RunStatus.INTERRUPTED: (RunStatus.RUNNING, RunStatus.CANCELLED),
}
Progress = Callable[[RunPartition], None]


class HasEnded(Exception):
    """The run has ended: there is nothing to cancel."""


def start(plan: Plan, worker: str = "", *, schedule: str = "", slot: datetime | None = None) -> Run:
    """Write the run, its partitions and its weeks in one transaction; IntegrityError when the slot has its run.

    `worker` is who will execute it, where known; without, the run belongs to whoever works the queue.
    """
    request, now = plan.request, timezone.now()
    with transaction.atomic():
        partitions = partitions_for([step.key for step in plan.steps])
        run = Run.objects.create(
            trigger=request.trigger,
            command=request.command,
            parameters=request.parameters(),
            parameters_hash=request.parameters_hash(),
            requested_by=request.requested_by,
            reason=request.reason,
            run_date=request.run_date,
            worker=worker,
            created_at=now,
            heartbeat_at=now,
            schedule=schedule,
            slot=slot,
        )
        RunPartition.objects.bulk_create(
            RunPartition(
                run=run, partition=partitions[step.key], action=step.action, plan_reason=step.reason, queued_at=now
            )
            for step in plan.steps
        )
        RunWeek.objects.bulk_create(RunWeek(run=run, week_ending=week) for week in plan.weeks)
    return run


def unfinished(plan: Plan) -> Run | None:
    """The run that executing the plan goes on with: the newest of the same request, when it stopped or died."""
    run = Run.objects.filter(parameters_hash=plan.request.parameters_hash()).order_by("-pk").first()
    stopped = run is not None and (run.status == RunStatus.INTERRUPTED or _is_dead(run))
    return run if stopped else None


def queued(plan: Plan) -> Run | None:
    """The run of the same request that is under way on the queue: nobody needs another."""
    same = Run.objects.filter(parameters_hash=plan.request.parameters_hash(), status=RunStatus.RUNNING, worker="")
    return same.order_by("-pk").first()


def remaining(plan: Plan) -> Plan:
    """What executing the plan will do: the plan, or what the run that it goes on with has not done yet."""
    run = unfinished(plan)
    if run is None:
        return plan
    pending = run.partitions.exclude(status=PartitionStatus.DONE).select_related("partition")
    steps = (Step(step.partition.key, Action(step.action), step.plan_reason) for step in pending)
    return Plan(plan.request, tuple(steps))


def resumable(plan: Plan, worker: str = "") -> Run | None:
    """The unfinished run of the plan, moved back to RUNNING; None when there is none, or another process has it."""
    run = unfinished(plan)
    return run if run is not None and move(run, RunStatus.RUNNING, worker) else None


def execute(run: Run, source: Source | None, progress: Progress = lambda step: None) -> Run:
    """Work through a run in this process, without an engine: a partition at a time, each week closed behind its last.

    An interruption leaves the run INTERRUPTED, with what was not finished pending.
    """
    with workers.working() as worker:
        try:
            Run.objects.filter(pk=run.pk).update(worker=worker, heartbeat_at=timezone.now())
            for week in list(run.weeks.filter(closed_at__isnull=True)):
                for step in run.partitions.filter(partition__week_ending=week.week_ending):
                    _process(step, source, worker)
                    progress(RunPartition.objects.select_related("partition", "capture").get(pk=step.pk))
                close_week(run, week.week_ending)
            settle(run)
        except BaseException:
            if Run.objects.filter(pk=run.pk, worker=worker).exists():  # another process may have taken it over
                interrupt(run)
            raise
    run.refresh_from_db()
    return run


def _process(step: RunPartition, source: Source | None, worker: str) -> None:
    """One partition; while another run has it under way, wait until that is done, or died."""
    while wait := steps.process(step.pk, worker, source):
        time.sleep(wait.total_seconds())
        take_back_dead()
        steps.take_back_stalled()


def close_week(run: Run, week_ending: date) -> bool:
    """Compute the week's analytics and decide its readiness, once its partitions are done; whether this call did.

    Of several callers at once one has the week, the others pass over it. Idempotent: what is computed already is not
    computed again. Errors that may pass go to the caller, and leave the week open.
    """
    if _is_incomplete(run, week_ending):
        return False
    for other in assessment.survey(week_ending, run):
        readiness.decide_week(other, run.run_date)
    with transaction.atomic():
        open_week = run.weeks.filter(week_ending=week_ending, closed_at__isnull=True)
        if not list(open_week.select_for_update(of=("self",), skip_locked=True)):
            return False
        calculation, reason = _calculate(run, week_ending)
        readiness.decide_week(week_ending, run.run_date)
        return bool(open_week.update(closed_at=timezone.now(), calculation=calculation, reason=reason))


def _is_incomplete(run: Run, week_ending: date) -> bool:
    of_week = run.partitions.filter(partition__week_ending=week_ending)
    return of_week.exclude(status=PartitionStatus.DONE).exists()


def complete_weeks(run: Run, since: datetime) -> list[date]:
    """The open weeks of a run that have had nothing left to do since an instant."""
    of_week = run.partitions.filter(partition__week_ending=OuterRef("week_ending"))
    undone = of_week.filter(~Q(status=PartitionStatus.DONE) | Q(finished_at__gt=since))
    return list(run.weeks.filter(~Exists(undone), closed_at__isnull=True).values_list("week_ending", flat=True))


def _calculate(run: Run, week_ending: date) -> tuple[Calculation, str]:
    """What became of the week's analytics, and why."""
    if Request.from_parameters(run.parameters).only_stage not in (OnlyStage.ALL, OnlyStage.CALC):
        return Calculation.SKIPPED, "not asked for"
    try:
        calculated = analytics.calculate_week(week_ending, run)
    except Exception as error:
        if is_transient(error):
            raise
        told = str(error) if isinstance(error, VintageDamaged) else explained(error)
        message = told or f"{type(error).__name__}: {error}"
        logger.error(
            "run %s: analytics of %s failed: %s", run.pk, week_ending, message, exc_info=None if told else error
        )
        Anomaly.objects.record(
            Category.CALC_FAILED, Severity.ERROR, message, week_ending=week_ending, stage=Stage.CALC, run=run
        )
        return Calculation.FAILED, message
    endings.calculated(week_ending, run)
    return calculated.outcome, calculated.reason


def settle(run: Run) -> bool:
    """End a run whose weeks are all closed; whether this call did. No run is good while the archive lacks a payload."""
    if run.weeks.filter(closed_at__isnull=True).exists():
        return False
    run.refresh_from_db(fields=["cancelled_at"])
    if run.cancelled_at is not None:
        return move(run, RunStatus.CANCELLED)
    failed = run.weeks.filter(calculation=Calculation.FAILED)
    archive_findings.look(run.run_date, run=run)
    bad = run.partitions.filter(outcome__in=BAD_OUTCOMES).exists() or failed.exists()
    bad = bad or archive_findings.standing().exists()
    bad = _is_source_empty(run) or bad or _standing_against(run).exists()
    return move(run, RunStatus.FAILED if bad else RunStatus.SUCCEEDED)


def _is_source_empty(run: Run) -> bool:
    """Whether the source had nothing of all that a run asked for, though some is held; that begins, or ends, an anomaly."""
    asked = run.partitions.filter(action__in=FETCHING).exclude(outcome=Outcome.CANCELLED)
    outcomes = set(asked.values_list("outcome", flat=True))
    empty = Outcome.NOT_OFFERED in outcomes and outcomes <= {Outcome.NOT_OFFERED, Outcome.LATE}
    if empty:
        request = Request.from_parameters(run.parameters)
        message = (
            f"the source {request.source} ({request.origin}) has nothing of all that was asked for, though some of it is "
            "held: is that the right place, and is its volume mounted?"
        )
        Anomaly.objects.record(Category.NOT_OFFERED, Severity.ERROR, message, stage=Stage.RAW, run=run)
    elif outcomes - {Outcome.LATE, Outcome.FAILED}:
        endings.offered(run)
    return empty


def _standing_against(run: Run) -> AnomalyQuerySet:
    """The open anomalies that block what a run was asked for, from whatever run: the doctor's findings, too."""
    worked_on = run.partitions.exclude(action__in=PASSED_OVER).values("partition")
    weeks = run.weeks.values("week_ending")
    return Anomaly.objects.open().grave().filter(Q(partition__in=worked_on) | Q(week_ending__in=weeks))


def cancel(run: Run, *, by: str, reason: str = "") -> int:
    """Start no more of a run's partitions; how many that were. Those under way finish, and the run ends CANCELLED.

    HasEnded when it has. A run that was interrupted ends at once.
    """
    with transaction.atomic():
        live = Run.objects.filter(pk=run.pk, status__in=[RunStatus.RUNNING, RunStatus.INTERRUPTED])
        now = timezone.now()
        if not live.update(cancelled_at=now, cancelled_by=by, cancel_reason=reason):
            run.refresh_from_db()
            raise HasEnded(f"run {run.pk} has ended already: {run.status}")
        told = f"cancelled by {by} before it started" + (f": {reason}" if reason else "")
        cancelled = run.partitions.filter(status=PartitionStatus.PENDING).update(
            status=PartitionStatus.DONE, outcome=Outcome.CANCELLED, reason=told, finished_at=now
        )
        worked_on = run.partitions.exclude(outcome=Outcome.CANCELLED)
        untouched = run.weeks.exclude(week_ending__in=worked_on.values("partition__week_ending"))
        untouched.filter(closed_at__isnull=True).update(closed_at=now, calculation=Calculation.SKIPPED, reason=told)
    if run.status == RunStatus.INTERRUPTED:
        close_complete(run)
    settle(run)
    return cancelled


def close_complete(run: Run, since: datetime | None = None) -> int:
    """Close the weeks of a run that have had nothing left to do since an instant (default: now); how many."""
    return sum(close_week(run, week) for week in complete_weeks(run, since or timezone.now()))


def interrupt(run: Run) -> None:
    """End a run before its end: what was under way is pending again."""
    with transaction.atomic():
        if move(run, RunStatus.INTERRUPTED):
            run.partitions.filter(status=PartitionStatus.RUNNING).update(status=PartitionStatus.PENDING)


def take_back_dead() -> list[Run]:
    """Interrupt the runs whose process died: by its token where it ran here, by its heartbeat elsewhere."""
    dead = [run for run in Run.objects.filter(status=RunStatus.RUNNING) if _is_dead(run)]
    for run in dead:
        interrupt(run)
    return dead


def _is_dead(run: Run) -> bool:
    """Whether the process that a run ends with has died. A run that belongs to the queue outlives every process."""
    if run.status != RunStatus.RUNNING or not run.worker:
        return False
    stale = timedelta(seconds=settings.MARKETSPINE_STALE_AFTER_SECONDS)
    return not clock.is_sign_of_life(run.heartbeat_at, timezone.now(), stale) or workers.is_known_dead(run.worker)


def move(run: Run, to: RunStatus, worker: str = "") -> bool:
    """Move a run to another status, by one conditional UPDATE over the allowed moves; whether this call did.

    Going on with a run, what was sent is forgotten: it was in the memory of a process that has gone.
    """
    allowed = [status for status, targets in MOVES.items() if to in targets]
    now = timezone.now()
    changes: dict[str, object] = {"status": to, "finished_at": now}
    if to is RunStatus.RUNNING:  # nothing of the worker that died, or the next to look takes the run back at once
        changes |= {"finished_at": None, "worker": worker, "heartbeat_at": now}
    with transaction.atomic():
        moved = Run.objects.filter(status__in=allowed, pk=run.pk).update(**changes)
        if moved and to is RunStatus.RUNNING:
            run.partitions.filter(status=PartitionStatus.PENDING).update(sent_at=None, retry_at=None)
    run.refresh_from_db()
    return bool(moved)
