"""One partition, end to end: fetch, read, decide, commit. Tasks, commands and the admin call it.

No transaction is open while a source is asked. An expected failure becomes an outcome and an anomaly: other
partitions never notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from django.utils import timezone

from pipeline.capture import (
    assessment,
    backlog,
    commit,
    content_checks,
    current,
    decision,
    endings,
    entries,
    likeness,
    other_partitions,
    results,
)
from pipeline.capture.arrival import Arrival
from pipeline.capture.begun import done
from pipeline.capture.commit import Candidate, Superseded
from pipeline.capture.decision import Decision, DecisionKind
from pipeline.capture.likeness import Sketches
from pipeline.capture.probe import ask
from pipeline.capture.results import Result, Times
from pipeline.capture.terms import Provenance, Terms
from pipeline.capture.vintage import Vintage, following, following_by_force
from pipeline.checkpoints import checkpoints
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content, UnreadablePayload
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import CannotBeAsked, Source, SourceError
from pipeline.models import Capture, CaptureKind, Category, Outcome, Severity
from pipeline.resilience.connections import patiently, release
from pipeline.vintages import holdings, payloads
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.holdings import Needed
from pipeline.vintages.records import LedgerBehind

KINDS = {
    DecisionKind.FIRST: CaptureKind.FIRST,
    DecisionKind.RESTATEMENT: CaptureKind.RESTATEMENT,
    DecisionKind.FORCED: CaptureKind.FORCED,
    DecisionKind.EVIDENCE: CaptureKind.EVIDENCE,
}


@checkpoints("ingest")
def ingest(key: PartitionKey, source: Source, terms: Terms, times: Times | None = None) -> Result:
    """Bring one partition up to date with the source, and fill `times` on the way.

    Captures archived earlier without their rows are stored first, in their order, so that no vintage is skipped.
    TransientSourceError, and what the database or a full disk raises, goes to the caller: another try may help.
    """
    times = times or Times()
    if not source.is_near:
        release()
    try:
        arrival = Arrival(source.fetch(key), key, source.name, times)
        lost = _recognized(arrival, terms)
    except SourceError as error:
        refusal = error
        return patiently(lambda: results.checked(key, _not_delivered(key, refusal, terms), terms))
    times.fetched_at = timezone.now()
    back = holdings.restore(arrival.payload, lost)
    result = patiently(lambda: results.checked(key, _take(arrival, terms), terms))
    if result.outcome in results.CAPTURED:
        times.stored_at = timezone.now()
    return replace(result, reason="; ".join([result.reason, *(f"the lost {kind} was restored" for kind in back)]))


def _recognized(arrival: Arrival, terms: Terms) -> list[Needed]:
    """The lost files of the captures that were made of just these bytes. New bytes are looked through, while they are read.

    Bytes are mostly those held: while they are hashed, the ledger and the archive are asked as though they were. Of
    another size they are others for certain, and are read at once. SourceError as `fetch`.
    """
    key, payload = arrival.key, arrival.payload
    made_of_it = patiently(lambda: holdings.made_of(current.newest_payload(key)))
    held = arrival.held = _newest(key, made_of_it)
    may_be_held = held is not None and held.payload_bytes == payload.size
    lost = holdings.lost_of(made_of_it) if may_be_held else []
    if not (held and may_be_held and arrival.sha256 == held.payload_sha256):
        arrival.read(encode=terms.normalize)
        made_of_it = patiently(lambda: holdings.made_of(arrival.sha256))
        lost = holdings.lost_of(made_of_it)
    if not made_of_it:
        arrival.compress()
    if arrival.source not in {capture.source for capture in made_of_it}:
        payload.check()
    return lost


def _newest(key: PartitionKey, captures: Iterable[Capture]) -> Capture | None:
    """The newest capture of a partition, where it is among these."""
    of_partition = (capture for capture in captures if capture.partition.key == key)
    return next((capture for capture in of_partition if capture.version == capture.partition.newest_version), None)


def _take(arrival: Arrival, terms: Terms) -> Result:
    """The result of a fetched payload: decide and commit, again while other processes are quicker."""
    key, sha256, held = arrival.key, arrival.sha256, arrival.held
    while True:
        try:
            return _settle(arrival, held, terms)
        except Superseded:
            held = current.newest(key)
        except UnreadablePayload as error:
            return _unreadable(arrival, error, terms)
        except ArchiveDamaged as error:
            return results.damaged(key, error, terms)
        except LedgerBehind as error:
            return results.failed(key, Category.LEDGER_BEHIND, Severity.ERROR, error, terms, sha256)


def _settle(arrival: Arrival, held: Capture | None, terms: Terms) -> Result:
    """Decide against the newest capture, and commit. Superseded when it is not the newest any more."""
    key, payload = arrival.key, arrival.payload
    held = _with_rows(arrival, held, terms)
    if held and not terms.force and held.payload_sha256 == payload.sha256:
        return results.found_as_held(held, decision.SAME_BYTES, terms, nothing_besides=True)
    arrival.read(encode=terms.normalize)
    offered = _offered(key, held, lambda: arrival.content, terms)
    found = decision.decide(held, offered, force=terms.force)
    if held and found.kind is DecisionKind.REPLAY:
        if not _is_evidence(held, offered, terms):
            return _replayed(held, arrival, found.reason, terms)
        found = found.as_evidence(held)
    sketches = likeness.sketches(offered.content.keyed)
    if found.kind in (DecisionKind.FIRST, DecisionKind.RESTATEMENT):
        found = _assessed(key, payload, held, offered, sketches, found)
    if found.kind is DecisionKind.REFUSED:
        arrival.archive()
        return results.refused(key, held, found.reason, payload.sha256, terms)
    provenance = Provenance.of_payload(payload, arrival.source)
    candidate = Candidate(
        key, held, KINDS[found.kind], found, provenance, offered, sketches, arrival.archive, arrival.encoded
    )
    made = commit.make(candidate, terms)
    return Result(candidate.outcome, made.reason, made)


def _is_evidence(held: Capture, offered: Vintage, terms: Terms) -> bool:
    """Whether a payload of the rows that are held is captured: the archive has none that shows them any more."""
    is_same = held.content_hash == offered.content.content_hash and held.normalized_at is not None
    return is_same and terms.normalize and not holdings.is_shown(held)


def _replayed(held: Capture, arrival: Arrival, reason: str, terms: Terms) -> Result:
    """The source has the rows that are held in other bytes: what these have besides is looked at."""
    content = arrival.content
    contradicts = content_checks.record_contradictions(held, content, arrival.payload.sha256, terms.run)
    if contradicts:
        arrival.archive()
    content_checks.check_totals(held.partition, content, terms.run)
    entries.note_listing(held.partition, content)
    return results.found_as_held(held, reason, terms, nothing_besides=not contradicts)


def _with_rows(arrival: Arrival, held: Capture | None, terms: Terms) -> Capture | None:
    """The newest capture, once the rows of all captures are stored (unless the run only archives)."""
    key = arrival.key
    if held and held.normalized_at is None and terms.normalize:
        backlog.restore_payload(key, arrival.payload, terms)
        backlog.store_rows(key, terms)
        held = current.newest(key)
    return held


def _offered(key: PartitionKey, held: Capture | None, read: Callable[[], Content], terms: Terms) -> Vintage:
    """The vintage that a content would be. The rows that it is compared with are read while `read` waits for its own.

    A content that is forced and archived only is compared when its rows are stored.
    """
    if terms.force and not terms.normalize:
        return Vintage(read(), None)
    base = held if held is None or held.pruned_at is None else current.newest_with_rows(key)
    rows_of_base = done(partial(current.frame_of, base), ArchiveDamaged, OSError) if base else None
    return (following_by_force if terms.force else following)(base, read(), rows_of_base)


def _assessed(
    key: PartitionKey, payload: Payload, held: Capture | None, offered: Vintage, sketches: Sketches, found: Decision
) -> Decision:
    """The decision, once it is held against what is plausible."""
    seen = frozenset(other_partitions.newest_of_others(key))
    refusal = assessment.refusal(key, payload, offered, sketches, held)
    return found.refused(refusal.message) if refusal else replace(found, seen=seen)


def probe(key: PartitionKey, source: Source, terms: Terms, times: Times | None = None) -> Result:
    """Ask the source whether a captured partition moved, and bring it up to date only if it did; errors as for `ingest`.

    A partition whose rows no payload in the archive shows, or of which something was refused, is not asked about: what the
    source has is fetched.
    """
    held = current.newest(key)
    if held is None or held.normalized_at is None or not holdings.is_shown(held):
        return ingest(key, source, terms, times)
    if endings.is_in_doubt(held.partition):
        return ingest(key, source, terms, times)
    try:
        found = ask(held, key, source)
    except CannotBeAsked as error:
        return Result(Outcome.UNCHANGED, f"not asked: {error}", held)
    except SourceError as error:
        return results.checked(key, _not_delivered(key, error, terms), terms)
    if found.moved:
        return ingest(key, source, terms, times)
    return results.checked(key, results.found_as_held(held, found.reason, terms), terms, fetched=False)


def renormalize(key: PartitionKey, terms: Terms, times: Times | None = None) -> Result:
    """Read the newest archived payload again, without the source: a vintage is added only where rows really differ.

    Captures whose rows were never stored are stored first.
    """
    stored = 0
    while True:
        try:
            stored += backlog.store_rows(key, terms)
            return _reread(key, stored, terms, times or Times())
        except Superseded:
            continue
        except ArchiveDamaged as error:
            return results.damaged(key, error, terms)


def _reread(key: PartitionKey, stored: int, terms: Terms, times: Times) -> Result:
    held = current.newest(key)
    if held is None:
        return Result(Outcome.LATE, "nothing is archived for it; ingest it first")
    content = payloads.read_archived(held)
    times.parsed_at = timezone.now()
    if content.content_hash == held.content_hash:
        endings.read_back(held, terms.run)
        if stored:
            return Result(Outcome.INGESTED, f"rows of {stored} archived capture(s) stored", held)
        return Result(Outcome.UNCHANGED, "unchanged: the archived payload reads as the same rows", held)
    reading = _offered(key, held, lambda: content, terms)
    found = _decide_reread(key, held, reading, terms)
    if found.kind is DecisionKind.REFUSED:
        return results.refused(key, held, found.reason, held.payload_sha256, terms)
    sketches, provenance = likeness.sketches(content.keyed), Provenance.of_capture(held)
    candidate = Candidate(key, held, CaptureKind.REPARSED, found, provenance, reading, sketches)
    try:
        made = commit.make(candidate, terms)
    except LedgerBehind as error:
        return results.failed(key, Category.LEDGER_BEHIND, Severity.ERROR, error, terms, held.payload_sha256)
    times.stored_at = timezone.now()
    return Result(Outcome.RESTATED, made.reason, made)


def _decide_reread(key: PartitionKey, held: Capture, reading: Vintage, terms: Terms) -> Decision:
    """A parser that finds other rows in the same payload than the one before is refused like a source would be."""
    found = decision.decide(held, reading, force=terms.force)
    refusal = None if terms.force else assessment.refusal_of_reading(key, reading)
    found = found.refused(refusal.message) if refusal else found
    said = f"parser {reader.PARSER_VERSION} reads the payload of version {held.version} differently: {found.reason}"
    return replace(found, reason=said)


def _not_delivered(key: PartitionKey, error: SourceError, terms: Terms) -> Result:
    """The result of a source's refusal; a capture whose payload is archived gets its rows all the same."""
    try:
        if terms.normalize:
            backlog.store_rows(key, terms)
    except ArchiveDamaged as damage:
        return results.damaged(key, damage, terms)
    return results.not_delivered(key, error, terms)


def _unreadable(arrival: Arrival, error: UnreadablePayload, terms: Terms) -> Result:
    """The result of a payload in another format than FINRA's: it is archived, and named as the operator knows it."""
    key, payload = arrival.key, arrival.payload
    arrival.archive()
    if error.part:
        error = UnreadablePayload(error.of_file(assessment.file_of(key, payload, error.part)))
    return results.failed(key, Category.UNREADABLE, Severity.ERROR, error, terms, payload.sha256)
