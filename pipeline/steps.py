"""One partition of a run: claim it, do what the plan says, keep what became of it; take it back where that stopped.

A claim is one conditional UPDATE, and the database allows one per partition at a time, whichever runs want it. What is
expected to go wrong becomes an outcome; an error that may pass puts the partition back for another try.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import Error, IntegrityError, close_old_connections, connection, models, transaction
from django.db.models import F
from django.utils import timezone

from pipeline import clock, stopping, workers
from pipeline.capture import ingest, results
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.failures import explained
from pipeline.models import (
    Action,
    Anomaly,
    Category,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    Severity,
    Stage,
)
from pipeline.patience import patiently
from pipeline.plain_text import storable
from pipeline.planning import Request, source_of
from pipeline.sources.base import Source, SourceError, TransientSourceError
from pipeline.transient import is_transient, wait_before_retry

logger = logging.getLogger(__name__)

BUSY = timedelta(seconds=1)
BEATS_UNTIL_STALE = 6
LONGEST_RESEND_DOUBLINGS = 6


def process(
    run_partition_id: int, worker: str, source: Source | None = None, *, retries: bool = False
) -> timedelta | None:
    """Claim one partition of a run and bring it to its outcome; how long to wait where it is to be tried again.

    Does nothing when another process has it, when the run has ended, or when this process is to stop: then the partition
    waits to be sent again. Without `source`, the one that the run names is asked. With `retries`, errors that may pass end
    as another try, until there were enough of them.
    """
    if stopping.is_ordered():
        RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING).update(sent_at=None)
        return None
    try:
        step = patiently(partial(_claim, run_partition_id, worker))
    except IntegrityError:  # another run has the partition under way
        patiently(partial(_postpone, run_partition_id))
        return BUSY
    if step is None:
        return None
    every = settings.MARKETSPINE_STALE_AFTER_SECONDS / BEATS_UNTIL_STALE
    with workers.beating(partial(_beat, step), every):
        done = _perform(step, source, retries)
        if isinstance(done, timedelta):
            patiently(partial(_put_back, step, done))
            return done
        patiently(partial(_finish, step, done))
    return None


def _claim(run_partition_id: int, worker: str) -> RunPartition | None:
    """The partition, under way from now on; None when it is not to be had; IntegrityError while another run has it."""
    now = timezone.now()
    # No join: PostgreSQL checks again, on the row as it is then, only what stands beside the row in the WHERE.
    pending = RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING, run__in=_under_way())
    with transaction.atomic():
        claimed = pending.update(
            status=PartitionStatus.RUNNING, worker=worker, started_at=now, heartbeat_at=now, attempts=F("attempts") + 1
        )
    if not claimed and not _is_own(run_partition_id, worker):
        return None
    step = RunPartition.objects.select_related("run", "partition").get(pk=run_partition_id)
    Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    return step


def _is_own(run_partition_id: int, worker: str) -> bool:
    """Whether an earlier try of this execution has claimed it, and the database went away before it could say so."""
    return RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.RUNNING, worker=worker).exists()


def _postpone(run_partition_id: int) -> None:
    """Have it sent again when the other run may be done with the partition."""
    pending = RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING)
    pending.update(sent_at=None, retry_at=timezone.now() + BUSY)


def _under_way() -> models.QuerySet[Run]:
    return Run.objects.filter(status=RunStatus.RUNNING)


def _beat(step: RunPartition) -> bool:
    """A sign of life, from a thread of its own; whether it could be given."""
    now = timezone.now()
    try:
        own = RunPartition.objects.filter(pk=step.pk, status=PartitionStatus.RUNNING, attempts=step.attempts)
        own.filter(worker=step.worker).update(heartbeat_at=now)
        Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    except Error as error:
        logger.warning("%s: no sign of life could be given: %s", step, error)
        return False
    finally:
        connection.close()
    return True


def _perform(step: RunPartition, source: Source | None, retries: bool) -> Result | timedelta:
    """Do what the plan says: what became of it, or how long to wait before the next try."""
    try:
        return _act(step, source)
    except Exception as error:
        close_old_connections()  # the one that the database closed would fail whatever is written next
        if retries and is_transient(error) and step.attempts < settings.MARKETSPINE_MAX_ATTEMPTS:
            logger.warning("%s: try %s: %s", step, step.attempts, error)
            return wait_before_retry(error, step.attempts)
        return patiently(partial(_failed, step, error))


def _failed(step: RunPartition, error: Exception) -> Result:
    """What becomes of a partition that an error ended; a failure of our own ends as a failed partition, too."""
    if isinstance(error, TransientSourceError):
        return results.unfetched(step.partition.key, error, _terms(step))
    if isinstance(error, SourceError):
        category, message = Category.FETCH_FAILED, str(error)
    else:
        category, message = Category.INTERNAL, explained(error) or f"{type(error).__name__}: {error}"
        # A traceback tells of our own failures; it only hides what ails the machine.
        bug = None if explained(error) else error
        logger.error("run %s: %s failed: %s", step.run_id, step.partition, message, exc_info=bug)
    Anomaly.objects.record(
        category, Severity.ERROR, message, partition=step.partition, stage=_stage(step), run=step.run
    )
    return Result(Outcome.FAILED, message)


def _stage(step: RunPartition) -> Stage:
    """The stage that a breakdown of the partition was in: reading an archived payload again, or fetching."""
    return Stage.NORMALIZED if step.action == Action.NORMALIZE else Stage.RAW


def _act(step: RunPartition, source: Source | None) -> Result:
    key, terms = step.partition.key, _terms(step)
    match Action(step.action):
        case Action.NOT_YET_DUE:
            return Result(Outcome.NOT_YET_DUE, step.plan_reason)
        case Action.SKIP:
            return Result(Outcome.CANCELLED, f"skipped: {step.plan_reason}", step.partition.latest)
        case Action.NONE:
            latest = step.partition.latest
            return Result(Outcome.UNCHANGED if latest else Outcome.LATE, step.plan_reason, latest)
        case Action.NORMALIZE:
            return ingest.renormalize(key, terms, _stamp(step))
        case Action.LOOK:
            return ingest.probe(key, source or source_of(_request(step)), terms, _stamp(step))
        case Action.INGEST | Action.ARCHIVE:
            return ingest.ingest(key, source or source_of(_request(step)), terms, _stamp(step))


def _request(step: RunPartition) -> Request:
    return Request.from_parameters(step.run.parameters)


def _terms(step: RunPartition) -> Terms:
    run = step.run
    return Terms(
        run_date=run.run_date,
        run=run,
        force=_request(step).force,
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
    _own(step).update(
        status=PartitionStatus.DONE,
        outcome=result.outcome,
        reason=storable(result.reason),
        capture=result.capture,
        fetched_at=step.fetched_at,
        parsed_at=step.parsed_at,
        stored_at=step.stored_at,
        finished_at=timezone.now(),
    )


def _put_back(step: RunPartition, wait: timedelta) -> None:
    """The next try stands in the ledger, not in a message that waits in a worker's memory, and dies with it."""
    _own(step).update(status=PartitionStatus.PENDING, sent_at=None, retry_at=timezone.now() + wait)


def _own(step: RunPartition) -> models.QuerySet[RunPartition]:
    """The row, while this execution has it: an outcome is written by who holds the claim of that attempt."""
    under_way = RunPartition.objects.filter(pk=step.pk, status=PartitionStatus.RUNNING)
    return under_way.filter(attempts=step.attempts, worker=step.worker)


def take_back_stalled() -> tuple[int, int]:
    """Put back what died or hung under way, and fail what did so too often; how many of each.

    Safe on every machine at once: what another process is taking back is passed over.
    """
    with transaction.atomic():
        under_way = RunPartition.objects.filter(status=PartitionStatus.RUNNING).select_related("run", "partition")
        stalled = [step for step in under_way.select_for_update(of=("self",), skip_locked=True) if is_stalled(step)]
        hopeless = [step for step in stalled if step.attempts >= settings.MARKETSPINE_MAX_ATTEMPTS]
        for step in hopeless:
            _fail_stalled(step)
        RunPartition.objects.filter(pk__in={step.pk for step in stalled} - {step.pk for step in hopeless}).update(
            status=PartitionStatus.PENDING, sent_at=None, retry_at=None
        )
    return len(stalled) - len(hopeless), len(hopeless)


def is_stalled(step: RunPartition) -> bool:
    """Whether who has the partition under way is known to be dead, or has shown no sign of life for too long."""
    stale, seen = timedelta(seconds=settings.MARKETSPINE_STALE_AFTER_SECONDS), step.heartbeat_at
    alive = seen is not None and clock.is_sign_of_life(seen, timezone.now(), stale)
    return not alive or workers.is_known_dead(step.worker)


def _fail_stalled(step: RunPartition) -> None:
    message = f"given up after {step.attempts} attempts: each time its worker died or hung"
    Anomaly.objects.record(
        Category.STALLED, Severity.CRITICAL, message, partition=step.partition, stage=_stage(step), run=step.run
    )
    _own(step).update(status=PartitionStatus.DONE, outcome=Outcome.FAILED, reason=message, finished_at=timezone.now())


def recall_unstarted() -> int:
    """Have what was sent, and has not started for long, sent again: after twice as long each time. How many."""
    now, after = timezone.now(), timedelta(seconds=settings.MARKETSPINE_RESEND_AFTER_SECONDS)
    waiting = RunPartition.objects.filter(status=PartitionStatus.PENDING, run__in=_under_way(), sent_at__isnull=False)
    lost = [step.pk for step in waiting if step.sent_at and _is_overdue(step, step.sent_at, now, after)]
    return waiting.filter(pk__in=lost).update(sent_at=None)


def _is_overdue(step: RunPartition, sent_at: datetime, now: datetime, after: timedelta) -> bool:
    """Whether it ought to have started by now; what was sent in the future was sent by a clock that has been set back."""
    return sent_at < now - after * _doublings(step) or clock.is_ahead(sent_at, now)


def sent_before(worker: str, before: datetime) -> models.QuerySet[RunPartition]:
    """What was sent before an instant and has not started, of the runs of the queue or of the process `worker`."""
    runs = _under_way().filter(worker=worker)
    return RunPartition.objects.filter(status=PartitionStatus.PENDING, run__in=runs, sent_at__lt=before)


def recall_queued() -> int:
    """Have all that the queue was sent, and has not started, sent again: the queue was in a memory that is gone."""
    queued = RunPartition.objects.filter(status=PartitionStatus.PENDING, run__in=_under_way().filter(worker=""))
    return queued.filter(sent_at__isnull=False).update(sent_at=None)


def _doublings(step: RunPartition) -> int:
    return 1 << min(max(step.sendings - 1, 0), LONGEST_RESEND_DOUBLINGS)
