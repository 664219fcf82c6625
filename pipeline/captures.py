"""Making captures: one short transaction under the partition's lock, with the rows, the manifests and the pointer.

The payload is in the archive and the ids are resolved before it starts; under the lock the newest version is checked
again, and the unique (partition, version) is the last line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from pipeline import assessment, capture_records, data_kinds, endings, findings, reading, restatements
from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey
from pipeline.models import (
    Capture,
    CaptureKind,
    DataKind,
    Listing,
    Manifest,
    Partition,
    Readiness,
    Reject,
    Run,
    Stage,
)
from pipeline.models.capture import CaptureQuerySet
from pipeline.parsed import Parsed
from pipeline.parsing import PARSER_VERSION
from pipeline.revisions import Decision
from pipeline.row_versions import Merged
from pipeline.sources.base import Payload
from pipeline.sources.finra_api.totals import ControlTotals
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged


class Superseded(Exception):
    """Another process has made a capture of the partition meanwhile: decide again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a run works: its day, whether revision detection is overruled, for whom and why."""

    run_date: date
    run: Run | None = None
    force: bool = False
    normalize: bool = True
    requested_by: str = ""
    request_reason: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a payload came from, as a capture records it.

    `kind` says what it holds, None where the payload was captured before.
    """

    source: str
    payload_uri: str
    payload_format: str
    payload_sha256: str
    payload_bytes: int
    source_updated_at: datetime | None
    kind: DataKind | None = None

    @classmethod
    def of_payload(cls, payload: Payload, source: str) -> Provenance:
        """Of a payload just fetched."""
        size = len(payload.content)
        kind = DataKind.SAMPLES if payload.is_sample else DataKind.REAL
        return cls(source, payload.uri, payload.format, payload.sha256, size, payload.updated_at, kind)

    @classmethod
    def of_capture(cls, capture: Capture) -> Provenance:
        """Of a payload that was captured before."""
        return cls(
            capture.source,
            capture.payload_uri,
            capture.payload_format,
            capture.payload_sha256,
            capture.payload_bytes,
            capture.source_updated_at,
        )


def newest(key: PartitionKey) -> Capture | None:
    """The newest capture of a partition, normalized or not."""
    return (
        Capture.objects.filter(partition__week_ending=key.week_ending, partition__tier=key.tier)
        .order_by("-version")
        .first()
    )


def make(
    key: PartitionKey,
    held: Capture | None,
    kind: CaptureKind,
    decision: Decision,
    provenance: Provenance,
    parsed: Parsed,
    terms: Terms,
    archived: Callable[[], None] = lambda: None,
) -> Capture:
    """Store the next capture after `held`.

    Superseded when `held` is not the newest any more; MixedData when the ledger does not take the payload's kind of data.

    `archived` returns when the payload is in the archive: no capture is written before.
    """
    started = time.monotonic()
    rows = vintages.resolve(parsed, key) if terms.normalize else None
    archived()
    with transaction.atomic():
        partition = Partition.objects.locked(key)
        _check_next(partition, held, terms)
        if provenance.kind is not None:
            data_kinds.decide(provenance.kind)
        if not terms.force:
            capture_records.check_not_behind(partition)
        version = partition.newest_version + 1
        merged = vintages.store(partition, version, rows) if rows is not None else None
        capture = _new_capture(partition, version, kind, decision, provenance, parsed, terms, merged)
        Readiness.objects.put_off(partition.week_ending, f"{capture} was captured")
        partition.newest_version = version
        assessment.keep_sketch(partition, parsed)
        add_manifest(capture, Stage.RAW, capture.payload_sha256, started, terms.run)
        endings.captured(capture, terms.run)
        if merged is not None:
            complete(partition, capture, parsed, started, terms.run)
        partition.save(update_fields=["newest_version", "latest"])
        if decision.seen is not None and assessment.is_another_week_by_now(partition, decision.seen):
            raise Superseded(f"{partition}: a week like it was captured meanwhile")
        _record(capture)
    return capture


def _record(capture: Capture) -> None:
    """Have the archive say whose payload it is: before the commit that the id is taken, after it that the capture is."""
    capture_records.claim(capture)
    transaction.on_commit(lambda: capture_records.confirm(capture), robust=True)


def normalize_awaiting(key: PartitionKey, terms: Terms) -> int:
    """Store the rows of the captures that have none yet, oldest first; how many.

    ArchiveDamaged when a payload cannot be read back; UnreadablePayload when the parser does not take it any more.
    """
    return sum(_normalize(capture, key, terms) for capture in _awaiting(key))


def mend_awaiting(key: PartitionKey, payload: Payload, terms: Terms) -> None:
    """Before rows of archived captures are stored: put a lost payload back that the source still has.

    One that nobody has any more stands in the way of all later captures; an operator's force gives its rows up.
    """
    for capture in _awaiting(key):
        try:
            archive.get(capture.payload_sha256)
        except ArchiveDamaged:
            if capture.payload_sha256 == payload.sha256:
                archive.put(payload.content, payload.sha256)
            elif terms.force:
                Capture.objects.filter(pk=capture.pk).update(pruned_at=timezone.now())


def _awaiting(key: PartitionKey) -> CaptureQuerySet:
    return Capture.objects.awaiting_normalization().filter(
        partition__week_ending=key.week_ending, partition__tier=key.tier
    )


def _normalize(capture: Capture, key: PartitionKey, terms: Terms) -> bool:
    """Store the rows of one archived capture; False when another process did meanwhile."""
    started = time.monotonic()
    parsed = reading.read_archived(capture, key)
    rows = vintages.resolve(parsed, key)
    with transaction.atomic():
        partition = Partition.objects.locked(key)
        capture.refresh_from_db()
        if capture.normalized_at is not None:
            return False
        merged = vintages.store(partition, capture.version, rows)
        Capture.objects.filter(pk=capture.pk).update(**content_fields(parsed), **count_fields(partition, merged))
        capture.refresh_from_db()
        Readiness.objects.put_off(partition.week_ending, f"the rows of {capture} were stored")
        complete(partition, capture, parsed, started, terms.run)
        partition.save(update_fields=["latest"])
        transaction.on_commit(lambda: capture_records.confirm(capture), robust=True)
    return True


def _check_next(partition: Partition, held: Capture | None, terms: Terms) -> None:
    """Superseded unless `held` is the newest capture, and normalized where its successor is to be."""
    if partition.newest_version != (held.version if held else 0):
        raise Superseded(f"{partition} has version {partition.newest_version} by now")
    if terms.normalize and held and Capture.objects.awaiting_normalization().filter(partition=partition).exists():
        raise Superseded(f"{partition} has an archived capture whose rows come first")


def _new_capture(
    partition: Partition,
    version: int,
    kind: CaptureKind,
    decision: Decision,
    provenance: Provenance,
    parsed: Parsed,
    terms: Terms,
    merged: Merged | None,
) -> Capture:
    return Capture.objects.create(
        partition=partition,
        version=version,
        capture_id=capture_records.next_id(partition, terms.run_date, provenance.payload_sha256),
        kind=kind,
        reason=decision.told(merged) if merged else decision.reason,
        source_opinion=decision.opinion,
        requested_by=terms.requested_by,
        request_reason=terms.request_reason,
        captured_on=terms.run_date,
        captured_at=timezone.now(),
        run=terms.run,
        source=provenance.source,
        payload_uri=provenance.payload_uri,
        payload_format=provenance.payload_format,
        payload_sha256=provenance.payload_sha256,
        payload_bytes=provenance.payload_bytes,
        source_updated_at=provenance.source_updated_at,
        **content_fields(parsed),
        **(count_fields(partition, merged) if merged else {}),
    )


def content_fields(parsed: Parsed) -> dict[str, object]:
    """The capture's fields that say what the parser read."""
    return {
        "parser_version": PARSER_VERSION,
        "content_hash": parsed.content_hash,
        "rows_in": parsed.rows_in,
        "rows_kept": parsed.rows_kept,
        "rows_rejected": len(parsed.rejects),
        "rows_non_ats": parsed.rows_non_ats,
        "shares": parsed.shares,
        "shares_non_ats": parsed.shares_non_ats,
        "trades": parsed.trades,
        "last_update_date": parsed.newest_update,
    }


def count_fields(partition: Partition, merged: Merged) -> dict[str, object]:
    """The capture's fields that say what storing it did, and since when its rows are known."""
    return {
        "normalized_at": _known_since(partition),
        "rows_added": merged.added,
        "rows_changed": merged.changed,
        "rows_removed": merged.removed,
        "rows_unchanged": merged.unchanged,
    }


def _known_since(partition: Partition) -> datetime:
    """Now, and later than for the vintage before, whatever the machines' clocks say: as-of answers follow versions."""
    now = timezone.now()
    if partition.latest is None or partition.latest.normalized_at is None:
        return now
    return max(now, partition.latest.normalized_at + timedelta(microseconds=1))


def complete(partition: Partition, capture: Capture, parsed: Parsed, started: float, run: Run | None) -> None:
    """What belongs to a capture whose rows are stored: manifest, rejects, anomalies, and the partition's pointer."""
    add_manifest(capture, Stage.NORMALIZED, capture.content_hash, started, run, parsed.controls)
    Reject.objects.bulk_create(
        [Reject(capture=capture, part=r.part, line=r.line, reason=r.reason, text=r.text) for r in parsed.rejects], 1000
    )
    endings.stored(capture, run)
    findings.look_at(parsed, capture, run)
    note_listing(partition, parsed)
    if partition.latest is not None:
        restatements.note_late(partition.latest, capture, run)
    partition.latest = capture


def note_listing(partition: Partition, parsed: Parsed) -> None:
    """Keep how the partition stood at its source when it was last read whole: `restatements.probe` asks against that."""
    newest, updated = parsed.listed_update or (None, 0)
    found = {"rows": parsed.listed_rows, "update_date": newest, "updated": updated}
    Listing.objects.update_or_create(partition=partition, defaults={**found, "with_totals": parsed.listing is not None})


def add_manifest(
    capture: Capture,
    stage: Stage,
    checksum: str,
    started: float,
    run: Run | None,
    controls: ControlTotals | None = None,
) -> None:
    Manifest.objects.create(
        capture=capture,
        stage=stage,
        rows_in=capture.rows_in,
        rows_kept=capture.rows_kept,
        rows_rejected=capture.rows_rejected,
        shares=capture.shares,
        trades=capture.trades,
        checksum=checksum,
        duration=timedelta(seconds=time.monotonic() - started),
        completed_at=timezone.now(),
        run=run,
        **(_control_totals(controls) if controls else {}),
    )


def _control_totals(controls: ControlTotals) -> dict[str, object]:
    """The manifest's fields that say what the source itself adds up to."""
    return {
        "control_symbols": controls.symbols,
        "control_shares": controls.shares,
        "control_trades": controls.trades,
        "control_differing": controls.differing,
    }
