"""Restoring captures into a ledger that is older than its archive, with their ids, versions and instants.

A record holds the facts of a capture, its payload the rows. Restored rows are known since the same instant as before, so
that as-of answers are what they were before the ledger was lost (docs/adr/0032).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import Q

from pipeline.capture import backlog, current, endings, entries, likeness, other_partitions
from pipeline.capture.terms import Terms
from pipeline.capture.vintage import following
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content, UnreadablePayload
from pipeline.models import Capture, FeedCounter, Partition, Readiness, Stage, data_kinds
from pipeline.vintages import archive, payloads, records, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.records import Record
from pipeline.vintages.store import Label
from pipeline.weeks import analytics, readiness


class Fate(StrEnum):
    """The fate of a record whose capture the ledger lacks."""

    LACKING = "LACKING"
    RESTORED = "RESTORED"
    REPLACED = "REPLACED"
    NO_PREDECESSOR = "NO_PREDECESSOR"
    PAYLOAD_LOST = "PAYLOAD_LOST"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A capture that the archive knows and the ledger lacks, its fate, and the reason."""

    record: Record
    fate: Fate
    why: str


def lacking() -> list[Orphan]:
    """The captures that the ledger lacks and that can be restored, or could be if the archive were whole. Reads only.

    A record whose version another capture has by now is left out: nothing can be done about it.
    """
    return [orphan for orphan in orphans() if orphan.fate is not Fate.REPLACED]


def orphans() -> list[Orphan]:
    """All captures that the archive knows and the ledger lacks, by week, tier and version. Reads only."""
    unknown = records.unknown(records.ids().confirmed)
    newest = _newest() if unknown else {}
    present = archive.present({record.payload_sha256 for record in unknown})
    return list(_judged(unknown, newest, present))


def _newest() -> dict[PartitionKey, tuple[int, datetime]]:
    """Version and instant of the newest capture of each partition."""
    newest = Capture.objects.newest().select_related("partition")
    return {capture.partition.key: (capture.version, capture.captured_at) for capture in newest}


def _judged(
    unknown: list[Record], newest: dict[PartitionKey, tuple[int, datetime]], present: set[str]
) -> Iterator[Orphan]:
    for record in unknown:
        held, at = newest.get(record.key, (0, record.captured_at))
        if record.version <= held or record.captured_at < at:
            yield Orphan(record, Fate.REPLACED, f"version {held} was captured in its place, or after it")
        elif record.version > held + 1:
            yield Orphan(record, Fate.NO_PREDECESSOR, f"version {held + 1} is to be restored first")
        elif record.payload_sha256 not in present:
            path = archive.path_of(record.payload_sha256)
            yield Orphan(record, Fate.PAYLOAD_LOST, f"its payload is not in the archive ({path})")
        else:
            newest[record.key] = record.version, record.captured_at
            yield Orphan(
                record, Fate.LACKING, f"version {record.version}, captured {record.captured_at:%Y-%m-%d %H:%M} UTC"
            )


def restore(today: date) -> list[Orphan]:
    """Restore the captures that can be, in order, then compute and judge the weeks that changed; the fate of each."""
    records.keep_positions(records.ids())
    found = [_restored(orphan) if orphan.fate is Fate.LACKING else orphan for orphan in orphans()]
    for week in sorted({one.record.week_ending for one in found if one.fate is Fate.RESTORED}):
        analytics.calculate_week(week)
        readiness.decide_week(week, today)
    return found


def _restored(orphan: Orphan) -> Orphan:
    record, started = orphan.record, time.monotonic()
    try:
        content = payloads.read(archive.get(record.payload_sha256), record.payload_format, record.key)
        if (
            record.normalized_at
        ):  # rows are stored in the order of versions; a record may not know yet that its own were
            backlog.store_rows(record.key, Terms(run_date=record.captured_on))
        vintage = following(current.newest_normalized(record.key), content)
    except (ArchiveDamaged, UnreadablePayload) as error:
        return Orphan(record, Fate.PAYLOAD_LOST, str(error))
    file = store.write(record.key, content.keyed, _label(record, content)) if record.normalized_at else None
    with transaction.atomic():
        partition = Partition.objects.locked(record.key)
        if partition.newest_version != record.version - 1:
            return Orphan(record, Fate.REPLACED, f"version {partition.newest_version} is there by now")
        if record.data_kind is not None:
            data_kinds.decide(record.data_kind)
        capture = _capture(partition, record, content)
        Readiness.objects.block(record.week_ending, f"{capture} was restored")
        partition.newest_version = record.version
        other_partitions.keep_sketch(partition, likeness.sketch(content.keyed))
        endings.captured(capture, None, fetched=False, stored=file is not None)
        stages = (Stage.RAW,) if file is None else (Stage.RAW, Stage.NORMALIZED)
        entries.add_manifests(capture, stages, started, None, content.controls)
        if file is not None:
            entries.record_rows(partition, capture, vintage, None)
        partition.save(update_fields=["newest_version", "latest"])
        if file is not None and record.normalized_at is not None:
            position = _position_of(record) or FeedCounter.objects.take()
            entries.publish(capture, vintage, file, record.normalized_at, position)
    return Orphan(record, Fate.RESTORED, f"version {record.version}, {capture.rows_kept:,} rows")


def _position_of(record: Record) -> int | None:
    """Its former position in the feed. None, for a new one, where it is taken or an earlier version has a later one."""
    if record.position is None:
        return None
    later = Q(partition__week_ending=record.week_ending, partition__tier=record.tier, position__gt=record.position)
    is_taken = Capture.objects.filter(Q(position=record.position) | later).exists()
    return None if is_taken else record.position


def _label(record: Record, content: Content) -> Label:
    return Label(record.capture_id, record.version, content.content_hash, record.payload_sha256, reader.PARSER_VERSION)


def _capture(partition: Partition, record: Record, content: Content) -> Capture:
    """The capture as it was. Its run is not named: the ledger that had it is lost, and may have given its number again."""
    capture = Capture(
        partition=partition,
        version=record.version,
        capture_id=record.capture_id,
        kind=record.kind,
        cause=record.cause,
        reason=record.reason,
        source_opinion=record.source_opinion,
        requested_by=record.requested_by,
        request_reason=record.request_reason,
        captured_on=record.captured_on,
        captured_at=record.captured_at,
        annuls=Capture.objects.get(capture_id=record.annuls) if record.annuls else None,
        source=record.source,
        payload_uri=record.payload_uri,
        payload_format=record.payload_format,
        payload_sha256=record.payload_sha256,
        payload_bytes=record.payload_bytes,
        source_updated_at=record.source_updated_at,
    )
    entries.describe(capture, content)
    capture.save()
    return capture
