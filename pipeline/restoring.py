"""Taking captures back into a ledger that is older than its archive: with their ids, versions and instants of old.

A record says what a capture was, its payload what its rows are. They are known since they were known then: as-of answers
are what they were before the ledger was lost (docs/adr/0032).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import F

from pipeline import assessment, capture_records, captures, data_kinds, reading
from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey
from pipeline.capture_records import Record
from pipeline.models import Capture, Partition, Readiness, Stage
from pipeline.parsed import Parsed
from pipeline.parsing import UnreadablePayload
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.weeks import analytics, readiness


class Fate(StrEnum):
    """What can be done about a record of which the ledger has no capture."""

    LACKING = "LACKING"
    RESTORED = "RESTORED"
    REPLACED = "REPLACED"
    NO_PREDECESSOR = "NO_PREDECESSOR"
    PAYLOAD_LOST = "PAYLOAD_LOST"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A capture that the archive knows and the ledger does not, what becomes of it, and why."""

    record: Record
    fate: Fate
    why: str


def lacking() -> list[Orphan]:
    """The captures that the ledger lacks and could take back, or could if its archive were whole. Reads only.

    Not among them are those whose version another capture has by now: their ids stay theirs, and nothing is to be done.
    """
    return [orphan for orphan in orphans() if orphan.fate is not Fate.REPLACED]


def orphans() -> list[Orphan]:
    """All captures that the archive knows and the ledger does not, by week, tier and version. Reads only."""
    records = capture_records.unknown(capture_records.confirmed_ids())
    newest = _newest() if records else {}
    present = archive.present({record.payload_sha256 for record in records})
    return list(_judged(records, newest, present))


def _newest() -> dict[PartitionKey, tuple[int, datetime]]:
    """Version and instant of the newest capture of each partition."""
    newest = Capture.objects.filter(version=F("partition__newest_version")).select_related("partition")
    return {capture.partition.key: (capture.version, capture.captured_at) for capture in newest}


def _judged(
    records: list[Record], newest: dict[PartitionKey, tuple[int, datetime]], present: set[str]
) -> Iterator[Orphan]:
    for record in records:
        held, at = newest.get(record.key, (0, record.captured_at))
        if record.version <= held or record.captured_at < at:
            yield Orphan(record, Fate.REPLACED, f"version {held} was captured in its place, or after it")
        elif record.version > held + 1:
            yield Orphan(record, Fate.NO_PREDECESSOR, f"version {held + 1} is to be taken back first")
        elif record.payload_sha256 not in present:
            path = archive.path_of(record.payload_sha256)
            yield Orphan(record, Fate.PAYLOAD_LOST, f"its payload is not in the archive ({path})")
        else:
            newest[record.key] = record.version, record.captured_at
            yield Orphan(
                record, Fate.LACKING, f"version {record.version}, captured {record.captured_at:%Y-%m-%d %H:%M} UTC"
            )


def restore(today: date) -> list[Orphan]:
    """Take back what can be, in order; then compute and judge the weeks that changed. What became of each."""
    found = [_restored(orphan) if orphan.fate is Fate.LACKING else orphan for orphan in orphans()]
    for week in sorted({one.record.week_ending for one in found if one.fate is Fate.RESTORED}):
        analytics.calculate_week(week)
        readiness.decide_week(week, today)
    return found


def _restored(orphan: Orphan) -> Orphan:
    record, started = orphan.record, time.monotonic()
    try:
        content = archive.get(record.payload_sha256)
        parsed = reading.read(content, record.payload_format, record.key)
    except (ArchiveDamaged, UnreadablePayload) as error:
        return Orphan(record, Fate.PAYLOAD_LOST, str(error))
    rows = vintages.resolve(parsed, record.key) if record.normalized_at else None
    with transaction.atomic():
        partition = Partition.objects.locked(record.key)
        if partition.newest_version != record.version - 1:
            return Orphan(record, Fate.REPLACED, f"version {partition.newest_version} is there by now")
        if record.data_kind is not None:
            data_kinds.decide(record.data_kind)
        merged = vintages.store(partition, record.version, rows) if rows is not None else None
        capture = _capture(partition, record, parsed, merged)
        Readiness.objects.put_off(record.week_ending, f"{capture} was taken back")
        partition.newest_version = record.version
        assessment.keep_sketch(partition, parsed)
        captures.add_manifest(capture, Stage.RAW, capture.payload_sha256, started, None)
        if merged is not None:
            captures.complete(partition, capture, parsed, started, None)
        partition.save(update_fields=["newest_version", "latest"])
    return Orphan(record, Fate.RESTORED, f"version {record.version}, {capture.rows_kept:,} rows")


def _capture(partition: Partition, record: Record, parsed: Parsed, merged: vintages.Merged | None) -> Capture:
    """The capture as it was. Its run is not named: the ledger that had it is lost, and may have given its number again."""
    same = ("version", "capture_id", "kind", "reason", "source_opinion", "requested_by", "request_reason")
    payload = ("source", "payload_uri", "payload_format", "payload_sha256", "payload_bytes", "source_updated_at")
    days = ("captured_on", "captured_at")
    counts = captures.count_fields(partition, merged) if merged else {}
    return Capture.objects.create(
        partition=partition,
        **{name: getattr(record, name) for name in (*same, *payload, *days)},
        **captures.content_fields(parsed),
        **{**counts, "normalized_at": record.normalized_at if merged else None},
    )
