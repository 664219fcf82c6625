"""One partition of a run: claim it, carry out the planned action, store the outcome.

Expected failures become outcomes; an error that may pass requeues the partition for another try.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError, close_old_connections, transaction
from django.utils import timezone

from marketspine import logs
from pipeline.capture import ingest, results
from pipeline.capture.results import Result, Times
from pipeline.capture.terms import Terms
from pipeline.checkpoints import checkpoints
from pipeline.finra.plain_text import storable
from pipeline.finra.sources.base import Source, SourceError, TransientSourceError
from pipeline.models import (
    Action,
    Anomaly,
    Category,
    Check,
    Outcome,
    PartitionStatus,
    RunPartition,
    Severity,
    Tally,
    TallyEntry,
)
from pipeline.resilience import stopping
from pipeline.resilience.connections import patiently
from pipeline.resilience.failures import explained
from pipeline.resilience.retries import is_transient, wait_before_retry
from pipeline.runs import claims, finra_requests, liveness
from pipeline.runs.request import Request
from pipeline.runs.sources import source_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do for this call: the partition has its outcome, or another process has it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The partition is to be tried again after `after`; the ledger has the instant, too."""

    after: timedelta


@checkpoints("process")
def process(
    run_partition_id: int, worker: str, source: Source | None = None, *, retries: bool = False
) -> Done | TryAgain:
    """Claim one partition of a run and bring it to its outcome, or to its next try.

    Does nothing when another process has it, when the run has ended, or when this process is to stop: then the partition
    waits to be sent again. Without `source`, the run's own is asked. With `retries`, an error that may pass leads to
    another try, up to MARKETSPINE_MAX_ATTEMPTS.
    """
    if stopping.is_ordered():
        RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING).update(sent_at=None)
        return Done()
    try:
        step = patiently(partial(claims.claim, run_partition_id, worker))
    except IntegrityError:  # another run has the partition under way
        patiently(partial(claims.postpone, run_partition_id))
        return TryAgain(claims.BUSY)
    if step is None:
        return Done()
    beating = liveness.beating(partial(claims.heartbeat, step), liveness.beat_seconds())
    with logs.bound(**_named(step)), beating:
        times = Times()
        performed = _perform(step, source, times, retries=retries)
        finra_requests.record()
        match performed:
            case TryAgain(after) as again:
                patiently(partial(claims.requeue, step, after))
                return again
            case Result() as result:
                patiently(partial(_finish, step, result, times))
                _tell(step, result)
                return Done()


def _named(step: RunPartition) -> dict[str, object]:
    """The fields of this try's log lines."""
    key = step.partition.key
    place = {"tier": str(key.tier), "week_ending": f"{key.week_ending}"}
    return {"run_id": step.run_id, "run_partition_id": step.pk, "attempt": step.attempts, **place}


def _tell(step: RunPartition, result: Result) -> None:
    """Log a finished partition."""
    taken = timezone.now() - (step.started_at or timezone.now())
    more = {"outcome": str(result.outcome), "duration_ms": round(taken.total_seconds() * 1000)}
    if result.capture:
        more["capture_id"] = result.capture.capture_id
    logger.info("%s: %s: %s", step.partition, result.outcome, result.reason, extra={"event": "partition_done", **more})


@checkpoints("perform")
def _perform(step: RunPartition, source: Source | None, times: Times, *, retries: bool) -> Result | TryAgain:
    """Carry out the planned action: its result or, for a transient error, another try."""
    try:
        return _act(step, source, times)
    except Exception as error:
        close_old_connections()  # the next write would fail on one that the database closed
        if retries and is_transient(error) and step.attempts < settings.MARKETSPINE_MAX_ATTEMPTS:
            logger.warning("%s: try %s: %s", step, step.attempts, error, extra={"event": "partition_retried"})
            return TryAgain(wait_before_retry(error, step.attempts))
        return patiently(partial(_failed, step, error))


def _failed(step: RunPartition, error: Exception) -> Result:
    """The result of a partition that an error ended; a failure of our own ends as a failed partition, too."""
    if isinstance(error, TransientSourceError):
        return results.unfetched(step.partition.key, error, _terms(step))
    if isinstance(error, SourceError):
        category, message = Category.FETCH_FAILED, str(error)
    else:
        category, message = Category.INTERNAL, explained(error) or f"{type(error).__name__}: {error}"
        # Only a failure of our own needs its traceback.
        bug = None if explained(error) else error
        logger.error("run %s: %s failed: %s", step.run_id, step.partition, message, exc_info=bug)
    with transaction.atomic():
        Anomaly.objects.record(
            category, Severity.ERROR, message, partition=step.partition, stage=claims.stage_of(step), run=step.run
        )
        if step.action != Action.NORMALIZE:  # the source was asked, and no capture says so
            Check.objects.note(step.partition, step.run, Outcome.FAILED)
    return Result(Outcome.FAILED, message)


def _act(step: RunPartition, source: Source | None, times: Times) -> Result:
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
            return ingest.renormalize(key, terms, times)
        case Action.PROBE:
            return ingest.probe(key, source or source_of(_request(step)), terms, times)
        case Action.INGEST | Action.ARCHIVE:
            return ingest.ingest(key, source or source_of(_request(step)), terms, times)


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


@checkpoints("finish")
def _finish(step: RunPartition, result: Result, times: Times) -> None:
    with transaction.atomic():
        finished = claims.own(step).update(
            status=PartitionStatus.DONE,
            outcome=result.outcome,
            reason=storable(result.reason),
            capture=result.capture,
            fetched_at=times.fetched_at,
            parsed_at=times.parsed_at,
            stored_at=times.stored_at,
            finished_at=timezone.now(),
        )
        if finished:
            Tally.objects.add_each(
                TallyEntry.of("work_attempts", outcome="done"),
                TallyEntry.of("partition_outcomes", tier=step.partition.tier, outcome=result.outcome),
            )
