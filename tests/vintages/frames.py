"""Small frames of rows, and captures that have them: made without a run, for the tests of vintage files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal

import polars as pl
from django.db import transaction

from pipeline.finra import rows
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Payload
from pipeline.models import Capture, CaptureKind, Cause, FeedCounter, Partition, capture_id_for
from pipeline.vintages import archive, files, payloads, read, store
from pipeline.vintages.store import Label, VintageFile

WEEK = date(2025, 11, 14)
KEY = PartitionKey(WEEK, Tier.OTC)
T1 = PartitionKey(WEEK, Tier.NMS_TIER_1)
DAY = date(2025, 12, 26)
UPDATED = date(2025, 12, 15)
PAYLOAD = "c" * 64

Line = tuple[str, str, str, int]  # symbol, MPID or firm, shares, trades


def frame_of(lines: Collection[Line], key: PartitionKey = KEY) -> pl.DataFrame:
    """Rows as the parser leaves them; a venue of four capital letters is an ATS."""
    return rows.in_order(pl.DataFrame([_row(*line, key) for line in lines], schema=rows.SCHEMA, orient="row"))[0]


def _row(symbol: str, venue: str, shares: str, trades: int, key: PartitionKey) -> tuple[object, ...]:
    is_ats = len(venue) == 4 and venue.isupper()
    kind, mpid, name = ("ATS", venue, f"{venue} ATS") if is_ats else ("NON_ATS", "", venue)
    exact = Decimal(shares)
    return (*key, kind, symbol, f"{symbol} Inc", mpid, "", name, "", exact, trades, None, UPDATED)


def label_of(frame: pl.DataFrame, version: int = 1, payload_sha256: str = PAYLOAD, key: PartitionKey = KEY) -> Label:
    return Label(capture_id_for(key, DAY, version), version, rows.content_hash(frame), payload_sha256, 1)


def stored(lines: Collection[Line], known: datetime, *, key: PartitionKey = KEY) -> Capture:
    """The next capture of the partition, with a vintage file of these rows, known since then; its payload is not there."""
    return _stored(frame_of(lines, key), known, key, PAYLOAD, "psv")


def captured(payload: Payload, known: datetime, *, key: PartitionKey = KEY) -> Capture:
    """The next capture of the partition, with a payload in the archive and a vintage file of what it reads as."""
    archive.put(payload.content, payload.sha256)
    content = payloads.read(payload.content, payload.format, key)
    return _stored(content.frame, known, key, payload.sha256, payload.format)


def _stored(frame: pl.DataFrame, known: datetime, key: PartitionKey, payload: str, payload_format: str) -> Capture:
    held = Partition.objects.get_or_create(week_ending=key.week_ending, tier=key.tier)[0]
    label = label_of(frame, held.newest_version + 1, payload, key)
    file = store.write(key, frame, label)
    with transaction.atomic():
        partition = Partition.objects.locked(key)
        capture = _capture(partition, frame, label, file, known, payload_format)
        partition.newest_version, partition.latest = label.version, capture
        partition.save()
    return capture


def _capture(
    partition: Partition, frame: pl.DataFrame, label: Label, file: VintageFile, known: datetime, payload_format: str
) -> Capture:
    firms = frame.filter(~rows.IS_ATS)
    return Capture.objects.create(
        partition=partition,
        version=label.version,
        capture_id=label.capture_id,
        kind=CaptureKind.FIRST if label.version == 1 else CaptureKind.RESTATEMENT,
        cause=Cause.SOURCE,
        captured_on=DAY,
        captured_at=known,
        normalized_at=known,
        position=FeedCounter.objects.take(),
        source="files",
        payload_format=payload_format,
        payload_sha256=label.payload_sha256,
        payload_bytes=1,
        parser_version=label.parser_version,
        content_hash=label.content_hash,
        rows_in=frame.height,
        rows_kept=frame.height,
        rows_rejected=0,
        rows_non_ats=firms.height,
        shares=rows.shares_of(frame),
        shares_non_ats=rows.shares_of(firms),
        trades=int(frame["trades"].sum()),
        rows_added=frame.height,
        rows_changed=0,
        rows_removed=0,
        rows_unchanged=0,
        vintage_path=file.path,
        vintage_bytes=file.size,
        vintage_sha256=file.sha256,
    )


def tampered_with(capture: Capture) -> None:
    """One trade more in the first row of a capture's file, and the hash of that file in the ledger."""
    held = read.of_capture(capture).collect()
    more = held.with_columns(pl.col("trades") + (pl.int_range(pl.len()) == 0).cast(pl.Int64))
    content = store.encoded(more, {})
    files.save(capture.vintage_path, content)
    sha256 = hashlib.sha256(content).hexdigest()
    Capture.objects.filter(pk=capture.pk).update(vintage_sha256=sha256, vintage_bytes=len(content))


def text_of(frame: pl.DataFrame | pl.LazyFrame) -> list[str]:
    """Rows as "symbol venue shares trades", in order."""
    venue = pl.when(rows.IS_ATS).then("mpid").otherwise("venue_name").alias("venue")
    found = frame.lazy().select("symbol", venue, "shares", "trades").collect()
    return sorted(
        f"{symbol} {name} {rows.without_zeros(shares)} {trades}" for symbol, name, shares, trades in found.rows()
    )
