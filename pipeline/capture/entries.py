"""The ledger's entries about a capture: the figures read from its payload, and all that belongs to stored rows.

Written in the transaction that makes the capture, stores the rows of an archived one, or restores one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from pipeline.capture import content_checks, current, late_restatements, silent_restatements
from pipeline.capture.vintage import Vintage
from pipeline.checkpoints import checkpoints
from pipeline.finra import reader
from pipeline.finra.content import Content
from pipeline.finra.sources.api.control_totals import ControlTotals
from pipeline.models import (
    Anomaly,
    Capture,
    CaptureKind,
    Event,
    Listing,
    Manifest,
    Notice,
    Occurrence,
    Partition,
    Reject,
    Run,
    Severity,
    Stage,
)
from pipeline.vintages.compare import Difference
from pipeline.vintages.store import VintageFile

REJECTS_AT_ONCE = 1000
LISTED = ["rows", "update_date", "updated", "with_totals"]
PUBLISHED = [
    "rows_added",
    "rows_changed",
    "rows_removed",
    "rows_unchanged",
    "vintage_path",
    "vintage_bytes",
    "vintage_sha256",
    "normalized_at",
    "position",
]


def describe(capture: Capture, content: Content) -> None:
    """Let a capture that is not saved yet say what was read."""
    capture.parser_version = reader.PARSER_VERSION
    capture.content_hash = content.content_hash
    capture.rows_in = content.rows_in
    capture.rows_kept = content.rows_kept
    capture.rows_rejected = len(content.rejects)
    capture.rows_non_ats = content.rows_non_ats
    capture.shares = content.shares
    capture.shares_non_ats = content.shares_non_ats
    capture.trades = content.trades
    capture.last_update_date = content.newest_update


@checkpoints("rows.record")
def record_rows(partition: Partition, capture: Capture, vintage: Vintage, run: Run | None) -> None:
    """Write the rejects and the anomalies of rows that are stored, and make them the partition's latest.

    The rows before them are given up where they are lost: until then they are the latest, and their week says so.
    """
    content = vintage.content
    Reject.objects.bulk_create(
        [Reject(capture=capture, part=r.part, line=r.line, reason=r.reason, text=r.text) for r in content.rejects],
        REJECTS_AT_ONCE,
    )
    found = content_checks.anomalies(content, capture, run)
    if vintage.base is not None and vintage.changes is not None:
        found += late_restatements.anomalies(Difference(vintage.base, capture, vintage.changes), run)
        found += silent_restatements.anomalies(vintage, capture, run)
    Anomaly.objects.record_each(*found)
    note_listing(partition, content)
    if vintage.lost is not None:
        current.mark_lost(vintage.lost)
    partition.latest = capture


def known_since(partition: Partition) -> datetime:
    """Now, and later than for the vintage before, whatever the machines' clocks say: as-of answers follow versions."""
    now = timezone.now()
    if partition.latest_id is None:
        return now
    before = Capture.objects.filter(pk=partition.latest_id).values_list("normalized_at", flat=True).get()
    return max(now, before + timedelta(microseconds=1)) if before else now


@checkpoints("publish")
def publish(capture: Capture, vintage: Vintage, file: VintageFile, known: datetime, position: int) -> None:
    """Save that the rows of a capture are known since then, where they are, and its position in the feed.

    The last thing before the commit: no process takes a position meanwhile.
    """
    counts = vintage.counts
    capture.rows_added, capture.rows_changed = counts.added, counts.changed
    capture.rows_removed, capture.rows_unchanged = counts.removed, counts.unchanged
    capture.vintage_path, capture.vintage_bytes, capture.vintage_sha256 = file.path, file.size, file.sha256
    capture.normalized_at = known
    capture.position = position
    capture.save(update_fields=PUBLISHED)
    if capture.version > 1 and capture.rows_touched and capture.kind != CaptureKind.REPARSED:
        Notice.objects.tell(_restated(capture))


def _restated(capture: Capture) -> Occurrence:
    partition = capture.partition
    changed = f"{capture.rows_changed:,} rows changed, {capture.rows_added:,} came, {capture.rows_removed:,} went"
    return Occurrence(
        event=Event.RESTATED,
        place=str(partition),
        severity=Severity.INFO,
        what=f"version {capture.version}: {changed}",
        advice=f"`diff_captures {partition.tier} {partition.week_ending}` shows them.",
        week_ending=partition.week_ending,
        tier=partition.tier,
        run=capture.run,
        rows=capture.rows_touched,
        mark=f"v{capture.version}",
    )


def note_listing(partition: Partition, content: Content) -> None:
    """Record the state of the partition at its source: the next probe compares with it."""
    newest, updated = content.listed_update or (None, 0)
    found = Listing(
        partition=partition,
        rows=content.listed_rows,
        update_date=newest,
        updated=updated,
        with_totals=content.listing is not None,
    )
    Listing.objects.bulk_create([found], update_conflicts=True, unique_fields=["partition"], update_fields=LISTED)


def add_manifests(
    capture: Capture, stages: Iterable[Stage], started: float, run: Run | None, controls: ControlTotals | None = None
) -> None:
    """Write that stages of a capture completed; `started` is an instant of the monotonic clock.

    The source's own totals, `controls`, stand beside the stored rows.
    """
    taken = timedelta(seconds=time.monotonic() - started)
    Manifest.objects.bulk_create(
        _manifest(capture, stage, controls if stage is Stage.NORMALIZED else None, taken, run) for stage in stages
    )


def _manifest(
    capture: Capture, stage: Stage, controls: ControlTotals | None, taken: timedelta, run: Run | None
) -> Manifest:
    return Manifest(
        capture=capture,
        stage=stage,
        rows_in=capture.rows_in,
        rows_kept=capture.rows_kept,
        rows_rejected=capture.rows_rejected,
        shares=capture.shares,
        trades=capture.trades,
        control_symbols=controls.symbols if controls else None,
        control_shares=controls.shares if controls else None,
        control_trades=controls.trades if controls else None,
        control_differing=controls.differing if controls else None,
        checksum=capture.payload_sha256 if stage is Stage.RAW else capture.content_hash,
        duration=taken,
        completed_at=timezone.now(),
        run=run,
    )
