"""Making captures: the payload and the vintage file first, then one short transaction under the partition's lock.

The version and the id are decided before the file is written, which names them, and are checked again under the lock; the
unique (partition, version) is the last line. The file of a capture that is not made is left: it is harmless, and another
process may have written the same bytes and have it for its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from pipeline.capture import endings, entries, other_partitions
from pipeline.capture.decision import Decision
from pipeline.capture.likeness import Sketches
from pipeline.capture.terms import Provenance, Terms
from pipeline.capture.vintage import Vintage
from pipeline.checkpoints import checkpoints
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey
from pipeline.models import (
    Capture,
    CaptureKind,
    Cause,
    Check,
    DataKind,
    FeedCounter,
    LedgerKind,
    Outcome,
    Partition,
    Readiness,
    Run,
    Stage,
    Tally,
    data_kinds,
)
from pipeline.vintages import archive, records, store
from pipeline.vintages.store import Label, Unlabelled, VintageFile

CAUSES = {  # the source is that of all others
    CaptureKind.FORCED: Cause.FORCED,
    CaptureKind.REPARSED: Cause.PARSER,
    CaptureKind.ANNULMENT: Cause.ANNULLED,
}


class Superseded(Exception):
    """Another process has made a capture of the partition meanwhile: decide again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The next capture of a partition, before it is committed.

    `held` is the newest capture now, `sketches` are those of its rows to be. `archive` brings the payload into the
    archive, None where it is there already. `encoded` returns its rows encoded, None where that was not begun. `annuls` is
    the capture that it takes back.
    """

    key: PartitionKey
    held: Capture | None
    kind: CaptureKind
    decision: Decision
    provenance: Provenance
    vintage: Vintage
    sketches: Sketches
    archive: Callable[[], None] | None = None
    encoded: Callable[[], Unlabelled] | None = None
    annuls: Capture | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome, by the capture before it: the same content is never a restatement."""
        if self.held is None:
            return Outcome.INGESTED
        if self.kind is CaptureKind.EVIDENCE:
            return Outcome.UNCHANGED
        is_same = self.held.content_hash == self.vintage.content.content_hash
        return Outcome.FORCED if is_same else Outcome.RESTATED


@checkpoints("commit")
def make(candidate: Candidate, terms: Terms) -> Capture:
    """Store the next capture of a partition.

    Superseded when `held` is not the newest any more; LedgerBehind when the archive has captures that the ledger lacks;
    MixedData when the ledger does not take the payload's kind of data; OSError when a file cannot be written, StorageAway
    when the storage is not mounted.
    """
    started = time.monotonic()
    store.check_mounted()
    label = _label(candidate, terms)
    with _archived(candidate.archive) as wait_until_archived:
        file = store.write_encoded(candidate.key, _encoded(candidate), label) if terms.normalize else None
        wait_until_archived()
    return _commit(candidate, label, file, started, terms)


@checkpoints("commit.label")
def _label(candidate: Candidate, terms: Terms) -> Label:
    """The label of the vintage file; its id and version are checked again under the lock."""
    key, provenance = candidate.key, candidate.provenance
    partition = (
        candidate.held.partition
        if candidate.held
        else Partition.objects.get_or_create(week_ending=key.week_ending, tier=key.tier)[0]
    )
    archived = records.ids()
    records.keep_positions(archived)
    held = records.ids_in_ledger(partition)
    if not terms.force:
        records.check_not_behind(partition, archived, held)
    return Label(
        capture_id=records.next_id(key, terms.run_date, provenance.payload_sha256, archived, held),
        version=candidate.held.version + 1 if candidate.held else 1,
        content_hash=candidate.vintage.content.content_hash,
        payload_sha256=provenance.payload_sha256,
        parser_version=reader.PARSER_VERSION,
    )


def _encoded(candidate: Candidate) -> Unlabelled:
    return candidate.encoded() if candidate.encoded else store.encode(candidate.vintage.content.keyed)


@contextmanager
def _archived(act: Callable[[], None] | None) -> Iterator[Callable[[], None]]:
    """Archive a payload in another thread, beside the writing of the vintage file; yields what waits for it."""
    if act is None:
        yield lambda: None
        return
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor.submit(act).result


@checkpoints("commit.transaction")
def _commit(candidate: Candidate, label: Label, file: VintageFile | None, started: float, terms: Terms) -> Capture:
    with transaction.atomic():
        partition = Partition.objects.locked(candidate.key)
        data_kind = _check_next(partition, candidate, label, terms)
        known = entries.known_since(partition)
        capture = _new_capture(partition, candidate, label, terms)
        _record_payload(partition, capture, candidate, terms.run)
        endings.captured(capture, terms.run, fetched=candidate.archive is not None, stored=file is not None)
        stages = (Stage.RAW,) if file is None else (Stage.RAW, Stage.NORMALIZED)
        entries.add_manifests(capture, stages, started, terms.run, candidate.vintage.content.controls)
        if file is not None:
            entries.record_rows(partition, capture, candidate.vintage, terms.run)
        partition.save(update_fields=["newest_version", "latest"])
        # The archive says whose payload it is: before the commit that the id is taken, after it that the capture is.
        records.claim(capture, data_kind)
        transaction.on_commit(lambda: records.confirm(capture, data_kind), robust=True)
        # From here to the commit one process at a time.
        position = FeedCounter.objects.take() if file is not None else FeedCounter.objects.hold()
        seen = candidate.decision.seen
        if seen is not None and other_partitions.is_another_by_now(candidate.key, candidate.sketches, seen):
            raise Superseded(f"{partition}: one like it was captured meanwhile")
        if file is not None:
            entries.publish(capture, candidate.vintage, file, known, position)
    return capture


@checkpoints("commit.check")
def _check_next(partition: Partition, candidate: Candidate, label: Label, terms: Terms) -> DataKind | None:
    """Superseded unless the capture may be the next one, under the id that its file names; the kind of the ledger's data.

    The ledger has not given the id: no capture of the partition was made since its ids were read.
    """
    if partition.newest_version != label.version - 1:
        raise Superseded(f"{partition} has version {partition.newest_version} by now")
    held, waiting = candidate.held, Capture.objects.awaiting_normalization().filter(partition=partition)
    # Rows are stored in the order of versions: when those of the newest are, no earlier ones are waited for.
    if terms.normalize and held and held.normalized_at is None and waiting.exists():
        raise Superseded(f"{partition} has an archived capture whose rows come first")
    if candidate.archive is not None and not archive.is_there(label.payload_sha256):
        raise Superseded(f"retention has removed the payload {label.payload_sha256[:16]} just now")
    if not records.is_free(label.capture_id, label.payload_sha256):
        raise Superseded(f"{label.capture_id} is the id of another capture by now")
    if candidate.provenance.kind is None:
        return LedgerKind.objects.found()
    data_kinds.decide(candidate.provenance.kind)
    return candidate.provenance.kind


@checkpoints("commit.insert")
def _new_capture(partition: Partition, candidate: Candidate, label: Label, terms: Terms) -> Capture:
    decision, provenance = candidate.decision, candidate.provenance
    capture = Capture(
        partition=partition,
        version=label.version,
        capture_id=label.capture_id,
        kind=candidate.kind,
        cause=CAUSES.get(candidate.kind, Cause.SOURCE),
        reason=decision.sentence(candidate.vintage.counts) if terms.normalize else decision.reason,
        source_opinion=decision.opinion,
        requested_by=terms.requested_by,
        request_reason=terms.request_reason,
        captured_on=terms.run_date,
        captured_at=timezone.now(),
        annuls=candidate.annuls,
        run=terms.run,
        source=provenance.source,
        payload_uri=provenance.payload_uri,
        payload_format=provenance.payload_format,
        payload_sha256=provenance.payload_sha256,
        payload_bytes=provenance.payload_bytes,
        source_updated_at=provenance.source_updated_at,
    )
    entries.describe(capture, candidate.vintage.content)
    capture.save()
    return capture


def _record_payload(partition: Partition, capture: Capture, candidate: Candidate, run: Run | None) -> None:
    """Write what belongs to a capture whether its rows are stored or not."""
    Readiness.objects.block(partition.week_ending, f"{capture} was captured")
    partition.newest_version = capture.version
    other_partitions.keep_sketch(partition, candidate.sketches.of_all)
    Tally.objects.add("captures", tier=partition.tier, kind=capture.kind)
    if (
        candidate.archive is not None and candidate.outcome is not Outcome.UNCHANGED
    ):  # a look at the source that told news
        Check.objects.note(partition, run, candidate.outcome)
    if candidate.annuls is not None:
        endings.annulled(candidate.annuls, run)
