"""Runs: start one from a plan, resume it, settle it, cancel it.

A partition is claimed (`pipeline.runs.claims`) and a week is closed by one conditional UPDATE each: so a run may be resumed,
or worked on by several processes, and nothing is done twice.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from pipeline.capture import endings
from pipeline.checkpoints import checkpoints
from pipeline.integrity import losses
from pipeline.models import (
    BAD_OUTCOMES,
    FETCHING,
    Action,
    Anomaly,
    Calculation,
    Category,
    Event,
    Notice,
    Outcome,
    Partition,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    RunWeek,
    Severity,
    Stage,
    Tally,
)
from pipeline.models.anomaly import AnomalyQuerySet
from pipeline.models.run import RunQuerySet
from pipeline.runs import close_week
from pipeline.runs.history import PASSED_OVER
from pipeline.runs.plan import Plan, Step
from pipeline.runs.request import Request
from pipeline.runs.stopped import has_stopped

logger = logging.getLogger(__name__)

MOVES = {
    RunStatus.RUNNING: (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.INTERRUPTED, RunStatus.CANCELLED),
    RunStatus.INTERRUPTED: (RunStatus.RUNNING, RunStatus.CANCELLED),
}


class HasEnded(Exception):
    """The run has ended: there is nothing to cancel."""


@checkpoints("run.start")
def start(plan: Plan, worker: str = "", *, schedule: str = "", slot: datetime | None = None) -> Run:
    """Write the run, its partitions and its weeks in one transaction; IntegrityError when the slot has its run.

    `worker` is the token of the process that executes it; empty, the run belongs to the queue.
    """
    request, now = plan.request, timezone.now()
    with transaction.atomic():
        partitions = Partition.objects.ensure([step.key for step in plan.steps])
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
    _tell("run_started", run)
    return run


def unfinished(plan: Plan) -> Run | None:
    """The run that the plan would resume: the newest of the same request, if it stopped or died; None without one."""
    run = Run.objects.filter(parameters_hash=plan.request.parameters_hash()).order_by("-pk").first()
    return run if run is not None and has_stopped(run) else None


def queued(plan: Plan) -> Run | None:
    """The run of the same request that is under way on the queue; None without one."""
    same = Run.objects.under_way().of_queue().filter(parameters_hash=plan.request.parameters_hash())
    return same.order_by("-pk").first()


def remaining(plan: Plan) -> Plan:
    """The work left to do: the whole plan, or the undone steps of the run that it resumes."""
    run = unfinished(plan)
    if run is None:
        return plan
    pending = run.partitions.exclude(status=PartitionStatus.DONE).select_related("partition")
    steps = (Step(step.partition.key, Action(step.action), step.plan_reason) for step in pending)
    return Plan(plan.request, tuple(steps))


@checkpoints("run.resume")
def resumable(plan: Plan, worker: str = "") -> Run | None:
    """The unfinished run of the plan, moved back to RUNNING; None when there is none, or another process has it."""
    run = unfinished(plan)
    return run if run is not None and move(run, RunStatus.RUNNING, worker) else None


@checkpoints("run.settle")
def settle(run: Run) -> bool:
    """End a run whose weeks are all closed; whether this call did. No run is good while the archive lacks a payload."""
    if run.weeks.filter(closed_at__isnull=True).exists():
        return False
    run.refresh_from_db(fields=["cancelled_at"])
    if run.cancelled_at is not None:
        return move(run, RunStatus.CANCELLED)
    failed = run.weeks.filter(calculation=Calculation.FAILED)
    losses.check(run.run_date, run=run)
    bad = run.partitions.filter(outcome__in=BAD_OUTCOMES).exists() or failed.exists()
    bad = bad or losses.standing().exists()
    bad = _is_source_empty(run) or bad or _standing_against(run).exists()
    return move(run, RunStatus.FAILED if bad else RunStatus.SUCCEEDED)


def _is_source_empty(run: Run) -> bool:
    """Whether the source had nothing of all that the run asked for, though some is held; opens or ends that anomaly."""
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
    """The open anomalies, of any run, against the partitions and weeks of this run: those that the doctor finds, too."""
    worked_on = run.partitions.exclude(action__in=PASSED_OVER).values("partition")
    weeks = run.weeks.values("week_ending")
    return Anomaly.objects.open().grave().filter(Q(partition__in=worked_on) | Q(week_ending__in=weeks))


def cancel(run: Run, *, by: str, reason: str = "") -> int:
    """Cancel a run's unstarted partitions; how many. Those under way finish, and the run ends CANCELLED.

    HasEnded when it has ended. An interrupted run ends at once.
    """
    with transaction.atomic():
        live = Run.objects.filter(pk=run.pk, status__in=[RunStatus.RUNNING, RunStatus.INTERRUPTED])
        now = timezone.now()
        if not live.update(cancelled_at=now, cancelled_by=by, cancel_reason=reason):
            run.refresh_from_db()
            raise HasEnded(f"run {run.pk} has ended already: {run.status}")
        reason = f"cancelled by {by} before it started" + (f": {reason}" if reason else "")
        cancelled = run.partitions.filter(status=PartitionStatus.PENDING).update(
            status=PartitionStatus.DONE, outcome=Outcome.CANCELLED, reason=reason, finished_at=now
        )
        worked_on = run.partitions.exclude(outcome=Outcome.CANCELLED)
        untouched = run.weeks.exclude(week_ending__in=worked_on.values("partition__week_ending"))
        untouched.filter(closed_at__isnull=True).update(closed_at=now, calculation=Calculation.SKIPPED, reason=reason)
    if run.status == RunStatus.INTERRUPTED:
        close_week.close_complete(run)
    settle(run)
    return cancelled


def interrupt(run: Run) -> bool:
    """Interrupt a run: its partitions under way are PENDING again. Whether this call did."""
    with transaction.atomic():
        moved = move(run, RunStatus.INTERRUPTED)
        if moved:
            running = run.partitions.filter(status=PartitionStatus.RUNNING)
            running.filter(stop_ordered_at__isnull=False).update(attempts=F("attempts") - 1)  # cut short: no attempt
            running.update(status=PartitionStatus.PENDING)
    return moved


@checkpoints("run.move")
def move(run: Run, to: RunStatus, worker: str = "") -> bool:
    """Move a run to another status, by one conditional UPDATE over the allowed moves; whether this call did.

    Resuming a run forgets its sent messages: they were in the memory of a process that has ended.
    """
    allowed = [status for status, targets in MOVES.items() if to in targets]
    movable = Run.objects.filter(status__in=allowed, pk=run.pk)
    with transaction.atomic():
        if to is RunStatus.RUNNING:
            moved = _resume(run, movable, worker)
        else:
            moved = movable.update(status=to, finished_at=timezone.now())
            if moved:
                Tally.objects.add("runs_finished", trigger=run.trigger, command=run.command, status=to)
        if moved:
            _tell_people(run, to)
    run.refresh_from_db()
    if moved:
        _tell("run_resumed" if to is RunStatus.RUNNING else "run_ended", run)
    return bool(moved)


def _resume(run: Run, movable: RunQuerySet, worker: str) -> int:
    """Move to RUNNING. The dead worker's token and heartbeat must go, or the next sweep would interrupt the run again."""
    moved = movable.update(status=RunStatus.RUNNING, finished_at=None, worker=worker, heartbeat_at=timezone.now())
    if moved:
        run.partitions.filter(status=PartitionStatus.PENDING).update(sent_at=None, retry_at=None)
    return moved


def _tell(event: str, run: Run) -> None:
    """Log the start or the end of a run."""
    more = {"run_id": run.pk, "command": run.command, "trigger": run.trigger, "status": run.status}
    if run.schedule and run.slot:
        more |= {"schedule": run.schedule, "slot": run.slot.isoformat()}
    if run.finished_at:
        more["duration_ms"] = round((run.finished_at - run.created_at).total_seconds() * 1000)
    logger.info("%s by %s: %s", run, run.trigger, event.replace("_", " "), extra={"event": event, **more})


def _tell_people(run: Run, to: RunStatus) -> None:
    """Open a notice of a failed run; close it when a run of its kind succeeds, or when it is cancelled itself."""
    if to is RunStatus.FAILED:
        Notice.objects.open(run.failure("it finished, and something is not good"))
    elif to is RunStatus.SUCCEEDED:
        Notice.objects.close(Event.RUN_FAILED, run.kind, f"run {run.pk} succeeded")
    elif to is RunStatus.CANCELLED and Notice.objects.unclosed().filter(event=Event.RUN_FAILED, run=run).exists():
        Notice.objects.close(Event.RUN_FAILED, run.kind, f"run {run.pk} is cancelled")
