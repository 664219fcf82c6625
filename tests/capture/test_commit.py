"""Captures: how they are named and numbered, what is written with them, and what stays when they are archived only."""

from __future__ import annotations

import errno
import os
import shutil
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError
from pytest_django import Settings

from pipeline.capture import backlog, commit, ingest, likeness
from pipeline.capture.commit import Candidate, Superseded
from pipeline.capture.decision import Decision, DecisionKind
from pipeline.capture.terms import Provenance, Terms
from pipeline.capture.vintage import following
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    Anomaly,
    Capture,
    CaptureKind,
    Category,
    Cause,
    FeedCounter,
    Manifest,
    Outcome,
    Partition,
    Reject,
    Severity,
    Stage,
    capture_id_for,
)
from pipeline.models.feed import GAP
from pipeline.resilience.retries import is_transient
from pipeline.vintages import archive, payloads, read, records, store
from pipeline.vintages.files import StorageAway
from pipeline.vintages.read import NoSuchVintage
from tests.support.capturing import (
    DAY,
    KEY,
    WEEK,
    captured,
    counts,
    latest,
    offered,
    open_anomalies,
    outcomes_seen,
    rows_at,
    version,
    vintage_files,
)
from tests.support.engines import Ledger
from tests.support.failing import failing_at
from tests.support.sources_in_memory import MemorySource, psv, row
from tests.vintages.frames import text_of

pytestmark = [pytest.mark.each_database, pytest.mark.usefixtures("few_rows")]

A = [row("AAPL", "UBSA", 100, 2), row("MSFT", "UBSA", "25.25"), row("BRK.B", "SGMT", 7)]
B = [row("AAPL", "UBSA", 101, 2), row("MSFT", "UBSA", "25.25"), row("NEWW", "SGMT", 9)]
ROWS_OF_A = ["AAPL UBSA 100 2", "BRK.B SGMT 7 1", "MSFT UBSA 25.25 1"]
ROWS_OF_B = ["AAPL UBSA 101 2", "MSFT UBSA 25.25 1", "NEWW SGMT 9 1"]
NAME = "finra.otc_transparency:OTC:2025-11-14"
NORMALIZING = Terms(run_date=DAY)


def test_captures_of_one_day_are_numbered_and_named_by_the_runs_day(ledger: Ledger) -> None:
    source = MemorySource()
    days = [DAY, DAY, DAY, DAY + timedelta(days=3), DAY]
    made = [captured(source, lines, day=day) for lines, day in zip([A, B, A, B, A], days, strict=True)]
    assert [(capture.version, capture.capture_id) for capture in made] == [
        (1, f"{NAME}:20251226"),
        (2, f"{NAME}:20251226.2"),
        (3, f"{NAME}:20251226.3"),
        (4, f"{NAME}:20251229"),
        (5, f"{NAME}:20251226.4"),
    ]


def test_the_name_of_a_capture_says_domain_tier_week_and_day() -> None:
    key = PartitionKey(date(2025, 12, 26), Tier.NMS_TIER_1)
    names = [capture_id_for(key, date(2026, 1, 5), nth) for nth in (1, 2, 10)]
    first = "finra.otc_transparency:NMS_TIER_1:2025-12-26:20260105"
    assert names == [first, f"{first}.2", f"{first}.10"]


@pytest.mark.promise(11)
def test_a_capture_and_its_manifests_account_for_every_row(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.5
    source, started = MemorySource(), time.monotonic()
    capture = captured(source, [*A, "OTC|SHORT", row("AAPL", "UBSA", 1), row("NEG", "UBSA", -1)])
    assert (capture.rows_in, capture.rows_kept, capture.rows_rejected) == (6, 3, 3)
    assert (capture.shares, capture.trades, capture.kind) == (Decimal("132.25"), 4, CaptureKind.FIRST)
    manifests = Manifest.objects.filter(capture=capture).values_list(
        "stage", "rows_in", "rows_kept", "rows_rejected", "shares", "trades", "checksum"
    )
    figures = (6, 3, 3, Decimal("132.25"), 4)
    assert sorted(manifests) == [
        (Stage.NORMALIZED, *figures, capture.content_hash),
        (Stage.RAW, *figures, capture.payload_sha256),
    ]
    taken = [duration.total_seconds() for duration in Manifest.objects.values_list("duration", flat=True)]
    assert 0 < min(taken) <= max(taken) <= time.monotonic() - started
    assert list(Reject.objects.values_list("line", "reason", "text")) == [
        (5, "FIELD_COUNT", "OTC|SHORT"),
        (6, "DUPLICATE_KEY", row("AAPL", "UBSA", 1)),
        (7, "NEGATIVE_SHARES", row("NEG", "UBSA", -1)),
    ]
    (anomaly,) = Anomaly.objects.open()
    assert (anomaly.category, anomaly.severity) == (Category.REJECTED_ROWS, Severity.WARN)
    assert anomaly.message == "3 of 6 rows rejected; first: line 5, FIELD_COUNT"


def test_a_capture_says_where_its_payload_came_from_and_who_asked(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish_rows(KEY, A)
    terms = Terms(run_date=DAY, force=True, requested_by="an operator", request_reason="after a correction")
    capture = ingest.ingest(KEY, source, terms).capture
    assert capture is not None
    payload = source.payloads[KEY]
    assert (capture.source, capture.payload_uri, capture.payload_format) == ("memory", payload.uri, "psv")
    assert (capture.payload_sha256, capture.payload_bytes) == (payload.sha256, len(payload.content))
    assert (capture.source_updated_at, capture.last_update_date) == (payload.updated_at, date(2025, 12, 15))
    assert (capture.requested_by, capture.request_reason) == ("an operator", "after a correction")
    assert (capture.captured_on, capture.kind) == (DAY, CaptureKind.FORCED)


def test_what_last_update_says_stands_in_the_reason_and_overrules_no_hash(ledger: Ledger) -> None:
    source = MemorySource()
    opinions = []
    for shares, updated in ((1, "2025-12-15"), (2, "2025-12-22"), (3, "2025-12-22"), (4, "2025-12-15")):
        capture = captured(source, [row("AAPL", "UBSA", shares, updated=updated)])
        opinions.append(capture.source_opinion)
    assert opinions == ["unknown", "newer", "equal", "older"]
    assert version(2).reason.endswith("): +0 rows, 1 changed, 0 gone; lastUpdateDate newer")


def test_archived_captures_get_their_rows_in_their_order(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    for lines in (B, A, B):
        captured(source, lines, normalize=False)
    assert latest() == ROWS_OF_A
    assert Partition.objects.get().newest_version == 4
    assert list(Manifest.objects.filter(capture=version(4)).values_list("stage", flat=True)) == [Stage.RAW]
    assert backlog.store_rows(KEY, NORMALIZING) == 3
    assert [rows_at(version(number)) for number in (1, 2, 3, 4)] == [ROWS_OF_A, ROWS_OF_B, ROWS_OF_A, ROWS_OF_B]
    assert Partition.objects.get().latest == version(4)
    assert {counts(version(number)) for number in (2, 3, 4)} == {(1, 1, 1, 1)}
    assert backlog.store_rows(KEY, NORMALIZING) == 0


def test_a_later_ingest_stores_the_rows_of_archived_captures_first(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A, normalize=False)
    captured(source, B, normalize=False)
    assert latest() == []
    captured(source, A)
    assert [rows_at(version(number)) for number in (1, 2, 3)] == [ROWS_OF_A, ROWS_OF_B, ROWS_OF_A]
    captured(source, B, normalize=False)
    assert offered(source, B).outcome == Outcome.UNCHANGED
    assert latest() == ROWS_OF_B


@pytest.mark.promise(2)
def test_an_archived_capture_is_not_archived_twice(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A, normalize=False)
    assert offered(source, A, normalize=False).outcome == Outcome.UNCHANGED
    assert offered(source, [A[2], A[0], A[1]], normalize=False).outcome == Outcome.UNCHANGED
    assert (Capture.objects.count(), vintage_files()) == (1, [])
    assert outcomes_seen() == ["INGESTED", "UNCHANGED", "UNCHANGED"]


def test_a_first_capture_may_be_forced_without_rows_and_real_rows_follow(ledger: Ledger) -> None:
    source = MemorySource()
    empty = captured(source, [], force=True)
    assert (empty.version, empty.kind, empty.rows_in, counts(empty)) == (1, CaptureKind.FORCED, 0, (0, 0, 0, 0))
    assert (empty.shares, empty.trades, empty.last_update_date) == (Decimal(0), 0, None)
    second = captured(source, A)
    assert (second.kind, counts(second)) == (CaptureKind.RESTATEMENT, (3, 0, 0, 0))
    assert (rows_at(empty), rows_at(second)) == ([], ROWS_OF_A)
    third = captured(source, [], force=True)
    assert (counts(third), latest(), rows_at(second)) == ((0, 0, 3, 0), [], ROWS_OF_A)


@pytest.mark.promise(2)
def test_another_name_of_a_venue_is_no_restatement(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, [row("AAPL", "UBSA", 1, name="UBSA UBS ATS")])
    renamed = offered(source, [row("AAPL", "UBSA", 1, name="UBS ATS")])
    assert renamed.outcome == Outcome.UNCHANGED
    assert renamed.reason == "unchanged: the same rows in other bytes (order or formatting)"


def test_a_late_partition_that_comes_is_not_late_any_more(ledger: Ledger) -> None:
    source = MemorySource()
    assert ingest.ingest(KEY, source, NORMALIZING).outcome == Outcome.LATE
    assert ingest.ingest(KEY, source, NORMALIZING).outcome == Outcome.LATE
    (late,) = Anomaly.objects.open()
    assert (late.category, late.severity, late.occurrences) == (Category.LATE, Severity.WARN, 2)
    capture = captured(source, A)
    late.refresh_from_db()
    assert (late.resolved_by, late.note) == ("marketspine", f"captured as {capture.capture_id}")


def candidate(held: Capture, provenance: Provenance) -> Candidate:
    """A payload with the rows of A, decided on while `held` was the newest."""
    content = payloads.read(psv(*A), "psv", KEY)
    decision, sketches = Decision(DecisionKind.RESTATEMENT, "in a test"), likeness.sketches(content.frame)
    return Candidate(KEY, held, CaptureKind.RESTATEMENT, decision, provenance, following(held, content), sketches)


def test_no_capture_is_made_from_an_outdated_decision(ledger: Ledger) -> None:
    source = MemorySource()
    first, second = captured(source, A), captured(source, B)
    provenance = Provenance.of_capture(second)
    with pytest.raises(Superseded, match="has version 2 by now"):
        commit.make(candidate(first, provenance), NORMALIZING)
    captured(source, A, normalize=False)
    with pytest.raises(Superseded, match="an archived capture whose rows come first"):
        commit.make(candidate(version(3), provenance), NORMALIZING)
    assert Capture.objects.count() == 3
    assert text_of(read.latest([KEY])) == ROWS_OF_B


@pytest.mark.promise(13)
def test_a_capture_names_the_file_of_its_rows(ledger: Ledger) -> None:
    source = MemorySource()
    first, second = captured(source, A), captured(source, B)
    for capture in (first, second):
        store.verify(capture)
        name = f"v{capture.version:04}-{capture.content_hash[:12]}.parquet"
        assert capture.vintage_path == f"vintages/2025-11-14/OTC/{name}"
        metadata = pl.read_parquet_metadata(default_storage.path(capture.vintage_path))
        assert {key: metadata[key] for key in ("capture_id", "version", "content_hash", "payload_sha256")} == {
            "capture_id": capture.capture_id,
            "version": str(capture.version),
            "content_hash": capture.content_hash,
            "payload_sha256": capture.payload_sha256,
        }
    assert len(vintage_files()) == 2


def test_a_file_of_an_attempt_that_failed_is_in_nobodys_way(ledger: Ledger) -> None:
    """A process that dies between the file and the commit, and comes back on another day with another id."""
    source = MemorySource()
    with failing_at("commit.transaction.before", OperationalError("full")), pytest.raises(OperationalError):
        offered(source, A)
    assert (len(vintage_files()), Capture.objects.count()) == (1, 0)
    later = captured(source, A, day=DAY + timedelta(days=1))
    assert later.capture_id == f"{NAME}:20251227"
    store.verify(later)
    assert (rows_at(later), len(vintage_files())) == (ROWS_OF_A, 2)


def test_an_attempt_that_is_repeated_takes_its_own_file(ledger: Ledger) -> None:
    source = MemorySource()
    with failing_at("commit.transaction.before", OperationalError("full")), pytest.raises(OperationalError):
        offered(source, A)
    captured(source, A)
    assert len(vintage_files()) == 1


def test_positions_of_the_feed_grow_with_what_becomes_known(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    captured(source, B, normalize=False)
    assert [version(number).position for number in (1, 2)] == [1, None]
    captured(source, [row("X", "UBSA", 1, tier=Tier.NMS_TIER_1)], key=PartitionKey(WEEK, Tier.NMS_TIER_1))
    assert backlog.store_rows(KEY, NORMALIZING) == 1
    assert [version(number).position for number in (1, 2)] == [1, 3]


def test_a_gap_is_left_above_the_last_position_that_is_known_of_a_lost_ledger(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    captured(source, B, normalize=False)  # it has no position, and verdicts after it may have had
    Capture.objects.filter(version=2).delete()
    Partition.objects.update(newest_version=1)
    for _ in range(2):
        records.keep_positions(records.ids())
        assert FeedCounter.objects.get().last == 1 + GAP


def test_a_capture_says_what_made_it(ledger: Ledger) -> None:
    source = MemorySource()
    made = [captured(source, A), captured(source, B), captured(source, B, force=True)]
    assert [capture.cause for capture in made] == [Cause.SOURCE, Cause.SOURCE, Cause.FORCED]


def test_every_probe_of_the_source_is_kept(ledger: Ledger, settings: Settings) -> None:
    source = MemorySource()
    ingest.ingest(KEY, source, NORMALIZING)
    captured(source, A)
    offered(source, [*reversed(A)])
    captured(source, B)
    offered(source, [])
    captured(source, B, force=True)
    source.withdraw(KEY)
    ingest.ingest(KEY, source, NORMALIZING)
    assert outcomes_seen() == ["LATE", "INGESTED", "UNCHANGED", "RESTATED", "REFUSED", "FORCED", "NOT_OFFERED"]


def test_rows_whose_file_is_lost_are_made_again_to_be_compared_with(ledger: Ledger) -> None:
    source = MemorySource()
    first = captured(source, A)
    Path(default_storage.path(first.vintage_path)).write_bytes(b"no Parquet")
    assert counts(captured(source, B)) == (1, 1, 1, 1)
    first.refresh_from_db()
    store.verify(first)
    assert rows_at(first) == ROWS_OF_A


def test_rows_lost_for_good_stop_a_partition_until_forced(ledger: Ledger) -> None:
    source = MemorySource()
    first = captured(source, A)
    Path(default_storage.path(first.vintage_path)).write_bytes(b"no Parquet")
    default_storage.delete(archive.path_of(first.payload_sha256))
    assert offered(source, B).outcome == Outcome.FAILED
    assert open_anomalies() == [(Severity.CRITICAL, Category.ARCHIVE_DAMAGED)]
    forced = captured(source, B, force=True)
    assert (counts(forced), latest()) == ((3, 0, 0, 0), ROWS_OF_B)
    first.refresh_from_db()
    with pytest.raises(NoSuchVintage):
        read.of_capture(first)


@pytest.mark.parametrize("point", ["archive.before", "vintage.write.before"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_what_cannot_be_written_is_not_captured(ledger: Ledger, point: str, number: int) -> None:
    source = MemorySource()
    first = captured(source, A)
    with failing_at(point, OSError(number, os.strerror(number))), pytest.raises(OSError, match=os.strerror(number)):
        offered(source, B)
    assert (Capture.objects.get(), latest()) == (first, ROWS_OF_A)
    assert counts(captured(source, B)) == (1, 1, 1, 1)


def test_a_storage_that_is_not_mounted_takes_no_capture_and_passes(ledger: Ledger, archive_dir: Path) -> None:
    source = MemorySource()
    captured(source, A)
    aside = archive_dir.rename(archive_dir.with_name("mounted elsewhere"))
    with pytest.raises(StorageAway) as away:
        offered(source, B)
    assert is_transient(away.value)
    assert (Capture.objects.count(), list(archive_dir.rglob("*.parquet"))) == (1, [])
    shutil.rmtree(archive_dir, ignore_errors=True)
    aside.rename(archive_dir)
    assert counts(captured(source, B)) == (1, 1, 1, 1)
