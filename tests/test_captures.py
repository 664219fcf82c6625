"""Captures: how they are named and numbered, what is written with them, and what stays when they are archived only."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pytest_django import Settings

from pipeline import captures, ingest, reading
from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey, Tier
from pipeline.captures import Superseded, Terms
from pipeline.models import (
    Anomaly,
    Capture,
    CaptureKind,
    Category,
    Manifest,
    Outcome,
    Partition,
    Reject,
    RowVersion,
    Severity,
    Stage,
    Venue,
    capture_id_for,
)
from pipeline.revisions import Decision, Verdict
from tests.capturing import (
    DAY,
    KEY,
    WEEK,
    captured,
    counts,
    latest,
    offered,
    rows_at,
    text_of,
    version,
)
from tests.engines import Ledger
from tests.sources_in_memory import MemorySource, psv, row

pytestmark = pytest.mark.usefixtures("few_rows")

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
    source = MemorySource()
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
    assert captures.normalize_awaiting(KEY, NORMALIZING) == 3
    assert [rows_at(version(number)) for number in (1, 2, 3, 4)] == [ROWS_OF_A, ROWS_OF_B, ROWS_OF_A, ROWS_OF_B]
    assert Partition.objects.get().latest == version(4)
    assert {counts(version(number)) for number in (2, 3, 4)} == {(1, 1, 1, 1)}
    assert captures.normalize_awaiting(KEY, NORMALIZING) == 0


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
    assert (Capture.objects.count(), RowVersion.objects.count()) == (1, 0)


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


def test_a_venue_has_the_name_that_the_newest_week_gives_it(ledger: Ledger) -> None:
    source = MemorySource()
    weeks = [WEEK, WEEK + timedelta(days=7), WEEK - timedelta(days=7)]
    names = []
    for week, name in zip(weeks, ("of the week", "of the week after", "of the week before"), strict=True):
        captured(source, [row("AAPL", "UBSA", 1, name=name)], key=PartitionKey(week, Tier.OTC))
        names.append(Venue.objects.get().name)
    assert names == ["of the week", "of the week after", "of the week after"]


@pytest.mark.promise(12)
def test_of_two_names_in_one_week_the_greater_is_kept_whatever_the_databases_collation(ledger: Ledger) -> None:
    source = MemorySource()
    for name in ("ubs", "Ubs", "UBS z", "UBS-a"):
        captured(source, [row(name, "UBSA", 1, name=name)])
    assert Venue.objects.get().name == "ubs"


def test_a_late_partition_that_comes_is_not_late_any_more(ledger: Ledger) -> None:
    source = MemorySource()
    assert ingest.ingest(KEY, source, NORMALIZING).outcome == Outcome.LATE
    assert ingest.ingest(KEY, source, NORMALIZING).outcome == Outcome.LATE
    (late,) = Anomaly.objects.open()
    assert (late.category, late.severity, late.occurrences) == (Category.LATE, Severity.WARN, 2)
    capture = captured(source, A)
    late.refresh_from_db()
    assert (late.resolved_by, late.note) == ("marketspine", f"captured as {capture.capture_id}")


def test_a_capture_is_not_made_from_what_is_not_the_newest_any_more(ledger: Ledger) -> None:
    source = MemorySource()
    first, second = captured(source, A), captured(source, B)
    decision = Decision(Verdict.RESTATEMENT, "in a test")
    provenance = captures.Provenance.of_capture(second)
    parsed = reading.read(psv(*A), "psv", KEY)
    with pytest.raises(Superseded, match="has version 2 by now"):
        captures.make(KEY, first, CaptureKind.RESTATEMENT, decision, provenance, parsed, NORMALIZING)
    captured(source, A, normalize=False)
    with pytest.raises(Superseded, match="an archived capture whose rows come first"):
        captures.make(KEY, version(3), CaptureKind.RESTATEMENT, decision, provenance, parsed, NORMALIZING)
    assert Capture.objects.count() == 3
    assert text_of(vintages.latest([KEY])) == ROWS_OF_B
