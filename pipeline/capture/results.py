"""Results of capturing a partition, each with the anomaly that it records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pipeline.capture import current, endings
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.sources.base import NotPublished, SourceError, TransientSourceError, UnusableReply
from pipeline.models import Anomaly, Capture, Category, Check, Outcome, Partition, Seen, Severity, Stage
from pipeline.vintages import archive, store
from pipeline.vintages.archive import ArchiveDamaged

CAPTURED = (Outcome.INGESTED, Outcome.RESTATED, Outcome.FORCED)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of working on a partition: the outcome, the reason, and the capture concerned."""

    outcome: Outcome
    reason: str
    capture: Capture | None = None


@dataclass(slots=True)
class Times:
    """When a partition's payload was fetched, read, and stored as a capture; None for a step that was not done."""

    fetched_at: datetime | None = None
    parsed_at: datetime | None = None
    stored_at: datetime | None = None


def checked(key: PartitionKey, result: Result, terms: Terms, *, fetched: bool = True) -> Result:
    """Note the check, with its result; a new capture has noted its own."""
    if result.outcome not in CAPTURED:
        partition = result.capture.partition if result.capture else _partition(key)
        Check.objects.note(partition, terms.run, result.outcome if fetched else Seen.UNMOVED)
    return result


def found_as_held(held: Capture, reason: str, terms: Terms, *, nothing_besides: bool = False) -> Result:
    """The result where the source has the current capture's content; with `nothing_besides`, as `endings.found_as_held`."""
    endings.found_as_held(held, terms.run, nothing_besides=nothing_besides)
    return Result(Outcome.UNCHANGED, reason, held)


def refused(key: PartitionKey, held: Capture | None, reason: str, payload_sha256: str, terms: Terms) -> Result:
    """The result of an implausible payload, which FINRA cannot have published for the week."""
    _record(key, Category.REFUSED, Severity.ERROR, reason, terms, payload_sha256)
    return Result(Outcome.REFUSED, reason, held)


def not_delivered(key: PartitionKey, error: SourceError, terms: Terms) -> Result:
    """The result of a source's refusal: late, not offered any more, or failed. A transient error is raised again."""
    if isinstance(error, TransientSourceError):
        raise error
    if not isinstance(error, NotPublished):
        return failed(key, Category.FETCH_FAILED, Severity.ERROR, error, terms, _archived(error))
    endings.answered(key, terms.run)
    held = current.newest(key)
    if held is not None:
        said = f"the source does not offer it (any more): version {held.version} stays"
        return Result(Outcome.NOT_OFFERED, said, held)
    _record(key, Category.LATE, Severity.WARN, str(error), terms)
    return Result(Outcome.LATE, str(error))


def unfetched(key: PartitionKey, error: TransientSourceError, terms: Terms) -> Result:
    """The result where the source failed at each try."""
    return checked(key, failed(key, Category.FETCH_FAILED, Severity.WARN, error, terms), terms)


def damaged(key: PartitionKey, error: ArchiveDamaged, terms: Terms) -> Result:
    """The result where a captured payload cannot be read from the archive any more, and its rows are needed.

    StorageAway when the storage is not mounted: then the damage is not certain.
    """
    store.check_mounted()
    return failed(key, Category.ARCHIVE_DAMAGED, Severity.CRITICAL, error, terms, error.sha256)


def failed(
    key: PartitionKey, category: Category, severity: Severity, error: Exception, terms: Terms, payload_sha256: str = ""
) -> Result:
    """The result of an error."""
    _record(key, category, severity, str(error), terms, payload_sha256)
    return Result(Outcome.FAILED, str(error), current.newest(key))


def _archived(error: SourceError) -> str:
    """Archive an unusable reply, which a later version may read; its hash, empty without one."""
    if not isinstance(error, UnusableReply):
        return ""
    sha256 = hashlib.sha256(error.content).hexdigest()
    archive.put(error.content, sha256)
    return sha256


def _record(
    key: PartitionKey, category: Category, severity: Severity, message: str, terms: Terms, payload_sha256: str = ""
) -> None:
    stage = Stage.NORMALIZED if category in (Category.UNREADABLE, Category.ARCHIVE_DAMAGED) else Stage.RAW
    Anomaly.objects.record(
        category,
        severity,
        message,
        partition=_partition(key),
        stage=stage,
        run=terms.run,
        payload_sha256=payload_sha256,
    )


def _partition(key: PartitionKey) -> Partition:
    partition, _ = Partition.objects.get_or_create(week_ending=key.week_ending, tier=key.tier)
    return partition
