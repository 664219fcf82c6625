"""Runs: start one from a plan, work through its partitions, close its weeks, settle it, take back what died.

The rows are the ledger: a partition is claimed and a week is closed by one conditional UPDATE, so that a run may be
resumed, or worked on by several processes, without doing anything twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from pipeline import analytics, ingest, readiness, workers
from pipeline.captures import Terms
from pipeline.ingest import Result
from pipeline.models import (
    BAD_OUTCOMES,
    Action,
    Anomaly,
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
from pipeline.planning import OnlyStage, Plan, Step, partitions_for
from pipeline.sources.base import Source

logger = logging.getLogger(__name__)

MOVES = {
    RunStatus.RUNNING: (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.CANCELLED),
    RunStatus.INTERRUPTED: (RunStatus.RUNNING,),
}
Progress = Callable[[RunPartition], None]


def start(plan: Plan, worker: str = "") -> Run:
    """Write the run, its partitions and its weeks in one transaction. `worker` is who will execute it, where known."""
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
    """Work through a run in this process: partition by partition, each week closed when its partitions are done.

    An interruption leaves the run INTERRUPTED, with what was not finished pending.
    """
    with workers.working() as worker:
        try:
            Run.objects.filter(pk=run.pk).update(worker=worker, heartbeat_at=timezone.now())
            for week in list(run.weeks.filter(closed_at__isnull=True)):
                for step in run.partitions.filter(partition__week_ending=week.week_ending):
                    process(step.pk, source, worker)
                    progress(RunPartition.objects.select_related("partition", "capture").get(pk=step.pk))
                close_week(run, week.week_ending)
            settle(run)
        except BaseException:
            if Run.objects.filter(pk=run.pk, worker=worker).exists():  # another process may have taken it over
                interrupt(run)
            raise
    run.refresh_from_db()
    return run


def process(run_partition_id: int, source: Source | None, worker: str) -> None:
    """Claim one partition of a run and bring it to its outcome. Does nothing when another process has it."""
    now = timezone.now()
    claimed = RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING).update(
        status=PartitionStatus.RUNNING, worker=worker, started_at=now, heartbeat_at=now, attempts=F("attempts") + 1
    )
    if not claimed:
        return
    step = RunPartition.objects.select_related("run", "partition").get(pk=run_partition_id)
    Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    _finish(step, _perform(step, source))


def _perform(step: RunPartition, source: Source | None) -> Result:
    """Do what the plan says; a failure of our own ends as a failed partition, too."""
    try:
        return _act(step, source)
    except Exception as error:
        logger.exception("run %s: %s failed", step.run_id, step.partition)
        message = f"{type(error).__name__}: {error}"
        Anomaly.objects.record(
            Category.INTERNAL, Severity.ERROR, message, partition=step.partition, stage=Stage.RAW, run=step.run
        )
        return Result(Outcome.FAILED, message)


def _act(step: RunPartition, source: Source | None) -> Result:
    key, terms = step.partition.key, _terms(step)
    match Action(step.action):
        case Action.NOT_YET_DUE:
            return Result(Outcome.NOT_YET_DUE, step.plan_reason)
        case Action.NONE:
            latest = step.partition.latest
            return Result(Outcome.UNCHANGED if latest else Outcome.LATE, step.plan_reason, latest)
        case Action.NORMALIZE:
            return ingest.renormalize(key, terms, _stamp(step))
        case Action.INGEST | Action.ARCHIVE:
            if source is None:
                raise ValueError(f"{step}: no source to fetch from")
            return ingest.ingest(key, source, terms, _stamp(step))


def _terms(step: RunPartition) -> Terms:
    run = step.run
    return Terms(
        run_date=run.run_date,
        run=run,
        force=bool(run.parameters.get("force")),
        normalize=step.action != Action.ARCHIVE,
        requested_by=run.requested_by,
        request_reason=run.reason,
    )


def _stamp(step: RunPartition) -> ingest.Progress:
    """A listener that keeps when each part of the work was done."""

    def stamp(part: str) -> None:
        setattr(step, f"{part}_at", timezone.now())

    return stamp


def _finish(step: RunPartition, result: Result) -> None:
    own = RunPartition.objects.filter(pk=step.pk, status=PartitionStatus.RUNNING, attempts=step.attempts)
    own.filter(worker=step.worker).update(
        status=PartitionStatus.DONE,
        outcome=result.outcome,
        reason=result.reason,
        capture=result.capture,
        fetched_at=step.fetched_at,
        parsed_at=step.parsed_at,
        stored_at=step.stored_at,
        finished_at=timezone.now(),
    )


def close_week(run: Run, week_ending: date) -> bool:
    """Compute the week's analytics and decide its readiness, once its partitions are done; False when they are not.

    Idempotent: what is computed already is not computed again, and only one caller closes the week.
    """
    of_week = run.partitions.filter(partition__week_ending=week_ending)
    if of_week.exclude(status=PartitionStatus.DONE).exists():
        return False
    calculation, reason = _calculate(run, week_ending)
    readiness.decide_week(week_ending, run.run_date)
    open_week = run.weeks.filter(week_ending=week_ending, closed_at__isnull=True)
    return bool(open_week.update(closed_at=timezone.now(), calculation=calculation, reason=reason))


def _calculate(run: Run, week_ending: date) -> tuple[str, str]:
    """What became of the week's analytics: COMPUTED, UNCHANGED, SKIPPED or FAILED, and why."""
    if run.parameters.get("only_stage") not in (OnlyStage.ALL, OnlyStage.CALC):
        return "SKIPPED", "not asked for"
    try:
        calculated = analytics.calculate_week(week_ending, run)
    except Exception as error:
        logger.exception("run %s: analytics of %s failed", run.pk, week_ending)
        message = f"{type(error).__name__}: {error}"
        Anomaly.objects.record(
            Category.CALC_FAILED, Severity.ERROR, message, week_ending=week_ending, stage=Stage.CALC, run=run
        )
        return "FAILED", message
    return calculated.outcome, calculated.reason


def settle(run: Run) -> bool:
    """End a run whose weeks are all closed; whether this call did."""
    if run.weeks.filter(closed_at__isnull=True).exists():
        return False
    bad = run.partitions.filter(outcome__in=BAD_OUTCOMES).exists() or run.weeks.filter(calculation="FAILED").exists()
    return move(run, RunStatus.FAILED if bad else RunStatus.SUCCEEDED)


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
    if run.status != RunStatus.RUNNING:
        return False
    stale = timezone.now() - timedelta(seconds=settings.MARKETSPINE_STALE_AFTER_SECONDS)
    return run.heartbeat_at < stale or bool(run.worker and workers.is_known_dead(run.worker))


def move(run: Run, to: RunStatus, worker: str = "") -> bool:
    """Move a run to another status, by one conditional UPDATE over the allowed moves; whether this call did."""
    allowed = [status for status, targets in MOVES.items() if to in targets]
    now = timezone.now()
    changes: dict[str, object] = {"status": to, "finished_at": now}
    if to is RunStatus.RUNNING:  # nothing of the worker that died, or the next to look takes the run back at once
        changes |= {"finished_at": None, "worker": worker, "heartbeat_at": now}
    moved = Run.objects.filter(Q(status__in=allowed), pk=run.pk).update(**changes)
    run.refresh_from_db()
    return bool(moved)
