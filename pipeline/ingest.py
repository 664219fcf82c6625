"""One partition, end to end: fetch, decide, archive, parse, store. What a task, a command or the admin calls.

No transaction is open while a source is asked. What is expected to go wrong becomes an outcome and an anomaly; other
partitions never notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pipeline import (
    archive_checks,
    assessment,
    captures,
    connections,
    endings,
    findings,
    reading,
    restatements,
    revisions,
)
from pipeline.calendar import PartitionKey
from pipeline.capture_records import LedgerBehind
from pipeline.captures import Provenance, Superseded, Terms
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Outcome, Partition, Severity, Stage
from pipeline.parsed import Parsed
from pipeline.parsing import PARSER_VERSION, UnreadablePayload
from pipeline.reading import Difference
from pipeline.revisions import Decision, Held, Offered, Verdict
from pipeline.sources.base import (
    CannotBeAsked,
    NotPublished,
    Payload,
    Source,
    SourceError,
    TransientSourceError,
    UnusableReply,
)
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged

Progress = Callable[[str], None]
KINDS = {
    Verdict.FIRST: CaptureKind.FIRST,
    Verdict.RESTATEMENT: CaptureKind.RESTATEMENT,
    Verdict.FORCED: CaptureKind.FORCED,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a partition: the outcome, why, and the capture concerned."""

    outcome: Outcome
    reason: str
    capture: Capture | None = None


def ingest(key: PartitionKey, source: Source, terms: Terms, progress: Progress = lambda step: None) -> Result:
    """Bring one partition up to date with the source. `progress` hears "fetched", "parsed" and "stored".

    Captures archived earlier without their rows are stored first, in their order, so that no vintage is skipped.
    TransientSourceError, and what the database raises, goes to the caller: another try may help.
    """
    connections.release()
    try:
        payload = source.fetch(key)
    except SourceError as error:
        return _not_delivered(key, error, terms)
    progress("fetched")
    was_lost = archive_checks.put_back(payload.content, payload.sha256)
    try:
        result = connections.through_losses(lambda: _take(key, source, payload, terms, progress))
    except LedgerBehind as error:
        return _failed(key, Category.LEDGER_BEHIND, Severity.ERROR, error, terms, payload.sha256)
    return replace(result, reason=f"{result.reason}; the lost payload was put back") if was_lost else result


def _take(key: PartitionKey, source: Source, payload: Payload, terms: Terms, progress: Progress) -> Result:
    """What becomes of the partition with a payload that was fetched."""
    try:
        held = _with_rows(key, payload, terms)
    except (ArchiveDamaged, UnreadablePayload) as error:
        return _failed(key, Category.ARCHIVE_DAMAGED, Severity.CRITICAL, error, terms)
    if held and not terms.force and held.payload_sha256 == payload.sha256:
        endings.found_as_held(held, terms.run)
        return Result(Outcome.UNCHANGED, revisions.SAME_BYTES.reason, held)
    try:
        return _decide_and_store(key, source.name, payload, terms, progress)
    except UnreadablePayload as error:
        archive.put(payload.content, payload.sha256)
        named = UnreadablePayload(error.of_file(assessment.file_of(key, payload, error.part))) if error.part else error
        return _failed(key, Category.UNREADABLE, Severity.ERROR, named, terms, payload.sha256)


def look(key: PartitionKey, source: Source, terms: Terms, progress: Progress = lambda step: None) -> Result:
    """Ask the source whether a captured partition moved, and bring it up to date only if it did; errors as for `ingest`.

    A partition whose archived payload is lost is not asked about: what the source has is fetched.
    """
    held = captures.newest(key)
    if held is None or held.normalized_at is None or not archive.present([held.payload_sha256]):
        return ingest(key, source, terms, progress)
    try:
        found = restatements.probe(held, key, source)
    except CannotBeAsked as error:
        return Result(Outcome.UNCHANGED, f"not asked: {error}", held)
    except SourceError as error:
        return _not_delivered(key, error, terms)
    if found.moved:
        return ingest(key, source, terms, progress)
    endings.found_as_held(held, terms.run)
    return Result(Outcome.UNCHANGED, found.reason, held)


def renormalize(key: PartitionKey, terms: Terms, progress: Progress = lambda step: None) -> Result:
    """Read the newest archived payload again, without the source: a vintage is added only where rows really differ.

    Captures whose rows were never stored are stored first.
    """
    try:
        stored = captures.normalize_awaiting(key, terms)
        held = captures.newest(key)
        if held is None:
            return Result(Outcome.LATE, "nothing is archived for it; ingest it first")
        parsed = reading.read_archived(held, key)
    except (ArchiveDamaged, UnreadablePayload) as error:
        return _failed(key, Category.ARCHIVE_DAMAGED, Severity.CRITICAL, error, terms)
    progress("parsed")
    if parsed.content_hash == held.content_hash:
        endings.read_back(held, terms.run)
        if stored:
            return Result(Outcome.INGESTED, f"rows of {stored} archived capture(s) stored", held)
        return Result(Outcome.UNCHANGED, "unchanged: the archived payload reads as the same rows", held)
    decision = _decide_reparsed(held, parsed, terms)
    if decision.verdict is Verdict.REFUSED:
        _record(key, Category.REFUSED, Severity.ERROR, decision.reason, terms, held.payload_sha256)
        return Result(Outcome.REFUSED, decision.reason, held)
    try:
        made = captures.make(key, held, CaptureKind.REPARSED, decision, Provenance.of_capture(held), parsed, terms)
    except Superseded:
        return renormalize(key, terms, progress)
    except LedgerBehind as error:
        return _failed(key, Category.LEDGER_BEHIND, Severity.ERROR, error, terms, held.payload_sha256)
    progress("stored")
    reading.forget(held)
    return Result(Outcome.RESTATED, made.reason, made)


def _with_rows(key: PartitionKey, payload: Payload, terms: Terms) -> Capture | None:
    """The newest capture, once the rows of all captures are stored (unless the run only archives)."""
    held = captures.newest(key)
    if held and held.normalized_at is None and terms.normalize:
        captures.mend_awaiting(key, payload, terms)
        captures.normalize_awaiting(key, terms)
        held.refresh_from_db()
    return held


def _decide_and_store(key: PartitionKey, source: str, payload: Payload, terms: Terms, progress: Progress) -> Result:
    """Decide against the newest capture, and store; again when another process has stored meanwhile."""
    held = _with_rows(key, payload, terms)
    parsed = reading.read_beside(held, payload, key)
    progress("parsed")
    decision = _decide(key, held, payload, parsed, terms)
    if decision.verdict is Verdict.REPLAY:
        if held:
            endings.found_as_held(held, terms.run)
            findings.check_totals(held.partition, parsed, terms.run)
            captures.note_listing(held.partition, parsed)
        return Result(Outcome.UNCHANGED, decision.reason, held)
    if decision.verdict is Verdict.REFUSED:
        archive.put(payload.content, payload.sha256)
        _record(key, Category.REFUSED, Severity.ERROR, decision.reason, terms, payload.sha256)
        return Result(Outcome.REFUSED, decision.reason, held)
    kind, provenance = KINDS[decision.verdict], Provenance.of_payload(payload, source)
    try:
        with archive.beside(partial(reading.keep, payload, parsed)) as archived:
            made = captures.make(key, held, kind, decision, provenance, parsed, terms, archived)
    except Superseded:
        return _decide_and_store(key, source, payload, terms, progress)
    progress("stored")
    if held and held.content_hash != made.content_hash:
        reading.forget(held)
    return Result(_outcome(held, made), made.reason, made)


def _outcome(held: Capture | None, made: Capture) -> Outcome:
    """What a new capture is to the one before it: the same content is never a restatement."""
    if held is None:
        return Outcome.INGESTED
    return Outcome.RESTATED if held.content_hash != made.content_hash else Outcome.FORCED


def _decide(key: PartitionKey, held: Capture | None, payload: Payload, parsed: Parsed, terms: Terms) -> Decision:
    offered, changes = _offered(payload.sha256, parsed), None
    if held and not terms.force and held.content_hash != parsed.content_hash:
        changes = reading.difference(held, parsed, is_api=payload.format.is_api)
        offered = replace(offered, differing=_differing(changes))
    decision = revisions.decide(_held(held), offered, force=terms.force)
    if decision.verdict not in (Verdict.FIRST, Verdict.RESTATEMENT):
        return decision
    seen = frozenset(assessment.newest_of_other_weeks(key))
    refused = assessment.refusal(key, payload, parsed, held, changes)
    return decision.refused(refused.message) if refused else replace(decision, seen=seen)


def _differing(changes: Difference) -> int | None:
    return max(len(changes.gone), len(changes.fresh)) if changes.in_common else None


def _decide_reparsed(held: Capture, parsed: Parsed, terms: Terms) -> Decision:
    """A parser that finds other rows in the same payload than the one before is refused like a source would be."""
    decision = revisions.decide(_held(held), _offered("", parsed), force=terms.force)
    refused = None if terms.force else assessment.refusal_of_reading(held, parsed)
    decision = decision.refused(refused.message) if refused else decision
    said = f"parser {PARSER_VERSION} reads the payload of version {held.version} differently: {decision.reason}"
    return replace(decision, reason=said)


def _held(capture: Capture | None) -> Held | None:
    if capture is None:
        return None
    return Held(
        payload_sha256=capture.payload_sha256,
        content_hash=capture.content_hash,
        last_update_date=capture.last_update_date,
    )


def _offered(payload_sha256: str, parsed: Parsed) -> Offered:
    return Offered(
        payload_sha256=payload_sha256,
        content_hash=parsed.content_hash,
        rows_kept=parsed.rows_kept,
        last_update_date=parsed.newest_update,
    )


def _not_delivered(key: PartitionKey, error: SourceError, terms: Terms) -> Result:
    """What a source's refusal means: late, or a failure; a capture that was archived only gets its rows all the same."""
    try:
        if terms.normalize:
            captures.normalize_awaiting(key, terms)
    except (ArchiveDamaged, UnreadablePayload) as damaged:
        return _failed(key, Category.ARCHIVE_DAMAGED, Severity.CRITICAL, damaged, terms)
    if isinstance(error, NotPublished):
        endings.answered(key, terms.run)
        held = captures.newest(key)
        if held is not None:
            said = f"the source does not offer it (any more): version {held.version} stays"
            return Result(Outcome.NOT_OFFERED, said, held)
        _record(key, Category.LATE, Severity.WARN, str(error), terms)
        return Result(Outcome.LATE, str(error))
    if isinstance(error, TransientSourceError):
        raise error
    return _failed(key, Category.FETCH_FAILED, Severity.ERROR, error, terms, _archived(error))


def _archived(error: SourceError) -> str:
    """The hash under which all that came is archived, whatever it is: a later version may read it; empty for nothing."""
    if not isinstance(error, UnusableReply):
        return ""
    sha256 = hashlib.sha256(error.content).hexdigest()
    archive.put(error.content, sha256)
    return sha256


def give_up(key: PartitionKey, error: TransientSourceError, terms: Terms) -> Result:
    """What becomes of a partition whose source was tried often enough."""
    return _failed(key, Category.FETCH_FAILED, Severity.WARN, error, terms)


def _failed(
    key: PartitionKey, category: Category, severity: Severity, error: Exception, terms: Terms, payload_sha256: str = ""
) -> Result:
    lost = error.sha256 if isinstance(error, ArchiveDamaged) else ""
    _record(key, category, severity, str(error), terms, payload_sha256 or lost)
    return Result(Outcome.FAILED, str(error), captures.newest(key))


def _record(
    key: PartitionKey, category: Category, severity: Severity, message: str, terms: Terms, payload_sha256: str = ""
) -> None:
    partition, _ = Partition.objects.get_or_create(week_ending=key.week_ending, tier=key.tier)
    stage = Stage.NORMALIZED if category in (Category.UNREADABLE, Category.ARCHIVE_DAMAGED) else Stage.RAW
    Anomaly.objects.record(
        category, severity, message, partition=partition, stage=stage, run=terms.run, payload_sha256=payload_sha256
    )
