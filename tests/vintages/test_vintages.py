"""Each vintage has exactly its rows, whatever came after it: captured by ingest, and read as latest, as of, of a capture."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.models import Capture, Check, FeedCounter, Partition
from pipeline.vintages import compare, read
from pipeline.vintages.read import NoSuchVintage
from tests.support.capturing import (
    DAY,
    KEY,
    NOON,
    WEEK,
    captured,
    counts,
    hours_later,
    latest,
    offered,
    rows_at,
    version,
)
from tests.support.engines import Ledger
from tests.support.ledger_state import archived_files
from tests.support.sources_in_memory import MemorySource, psv, row
from tests.vintages.frames import T1, text_of

pytestmark = pytest.mark.usefixtures("few_rows")

A = [row("AAPL", "UBSA", 100, 2), row("MSFT", "UBSA", "25.25"), row("BRK.B", "SGMT", 7)]
B = [row("AAPL", "UBSA", 101, 2), row("MSFT", "UBSA", "25.25"), row("NEWW", "SGMT", 9)]
ROWS_OF_A = ["AAPL UBSA 100 2", "BRK.B SGMT 7 1", "MSFT UBSA 25.25 1"]
ROWS_OF_B = ["AAPL UBSA 101 2", "MSFT UBSA 25.25 1", "NEWW SGMT 9 1"]


@pytest.mark.promise(1)
def test_a_restatement_undone_is_a_third_capture_with_the_first_ones_rows(ledger: Ledger) -> None:
    source = MemorySource()
    first, second, third = captured(source, A), captured(source, B), captured(source, A)
    assert [rows_at(capture) for capture in (first, second, third)] == [ROWS_OF_A, ROWS_OF_B, ROWS_OF_A]
    assert latest() == ROWS_OF_A
    assert Partition.objects.get().latest == third
    assert [counts(capture) for capture in (first, second, third)] == [(3, 0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 1)]
    assert (compare.compare(first, third).count(), compare.compare(second, second).count()) == (0, 0)


def test_a_row_removed_and_returned_is_in_the_vintages_that_had_it(ledger: Ledger) -> None:
    source = MemorySource()
    without = [*A, row("IBM", "UBSA", 1), row("F", "UBSA", 1)]
    with_it = [*without, row("GONE", "UBSA", 5)]
    for lines in (with_it, without, with_it, without):
        captured(source, lines)
    assert ["GONE UBSA 5 1" in rows_at(version(number)) for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert counts(version(3)) == (1, 0, 0, 5)


@pytest.mark.promise(2)
def test_a_replay_writes_no_file_and_leaves_a_check(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    before = archived_files()
    assert offered(source, A).capture == version(1)
    assert offered(source, A[::-1]).capture == version(1)
    assert [name for name in archived_files() if name not in before and name.startswith("vintages")] == []
    assert list(Check.objects.order_by("pk").values_list("outcome", flat=True)) == [
        "INGESTED",
        "UNCHANGED",
        "UNCHANGED",
    ]


def test_a_symbol_in_two_tiers_has_a_row_in_each(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, [row("AAPL", "UBSA", 1, tier=T1.tier)], key=T1)
    captured(source, [row("AAPL", "UBSA", 2)])
    captured(source, [row("AAPL", "UBSA", 3)])
    assert (text_of(read.latest([T1])), latest()) == (["AAPL UBSA 1 1"], ["AAPL UBSA 3 1"])
    assert text_of(read.latest([KEY, T1])) == ["AAPL UBSA 1 1", "AAPL UBSA 3 1"]


def test_issue_names_and_case_keep_rows_apart(ledger: Ledger) -> None:
    source = MemorySource()
    names = [row("ABRpD", "UBSA", 1, issue="old issuer"), row("ABRpD", "UBSA", 2, issue="new issuer")]
    captured(source, [*names, row("ABRPD", "UBSA", 3, issue="old issuer"), row("", "UBSA", 4, issue="no symbol")])
    assert latest() == [" UBSA 4 1", "ABRPD UBSA 3 1", "ABRpD UBSA 1 1", "ABRpD UBSA 2 1"]
    changed = row("ABRpD", "UBSA", 5, issue="new issuer")
    second = captured(source, [names[0], changed, row("", "UBSA", 4, issue="no symbol")])
    assert (counts(second), latest()) == ((0, 1, 1, 2), [" UBSA 4 1", "ABRpD UBSA 1 1", "ABRpD UBSA 5 1"])


@pytest.mark.promise(5)
def test_an_archived_capture_is_known_since_its_rows_are_stored(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(0):
        captured(source, A, normalize=False)
        with pytest.raises(NoSuchVintage, match="its rows are not stored yet"):
            read.of_capture(version(1))
        assert version(1).position is None
    with hours_later(2):
        ingest.renormalize(KEY, Terms(run_date=DAY))
        assert text_of(read.as_of(NOON + timedelta(hours=1), [KEY])) == []
        assert text_of(read.as_of(NOON + timedelta(hours=2), [KEY])) == ROWS_OF_A
    assert version(1).position == 1


@pytest.mark.promise(5)
def test_a_clock_that_goes_back_does_not_reorder_vintages(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(5):
        captured(source, A)
    with hours_later(1):
        captured(source, B)
    with hours_later(6):
        assert text_of(read.as_of(NOON + timedelta(hours=5), [KEY])) == ROWS_OF_A
        assert text_of(read.as_of(NOON + timedelta(hours=5, microseconds=1), [KEY])) == ROWS_OF_B


def test_feed_positions_follow_the_order_of_commits(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    captured(source, [row("AAPL", "UBSA", 1, tier=T1.tier)], key=T1)
    captured(source, B)
    feed = Capture.objects.order_by("position").values_list("position", "partition__tier", "version", "cause")
    assert list(feed) == [(1, "OTC", 1, "SOURCE"), (2, "NMS_TIER_1", 1, "SOURCE"), (3, "OTC", 2, "SOURCE")]
    assert FeedCounter.objects.get().last == 3


@pytest.mark.promise(1, 5)
def test_three_restated_rows_change_nothing_else(ledger: Ledger) -> None:
    """Several row groups: the restated rows are in the first, in one between, and in the last."""
    before = [row(f"S{number:05}", venue, 100 + number % 977) for number in range(10_000) for venue in ("UBSA", "SGMT")]
    after = [restated(line) if at in (0, 10_001, 19_999) else line for at, line in enumerate(before)]
    source = MemorySource()
    first = captured(source, before)
    between = timezone.now()
    second = captured(source, after)

    assert (first.rows_kept, counts(second)) == (20_000, (0, 3, 0, 19_997))
    told = compare.movers(compare.compare(first, second), 0, 10)
    assert sorted((change.key.symbol, change.key.mpid) for change in told) == [
        ("S00000", "UBSA"),
        ("S05000", "SGMT"),
        ("S09999", "SGMT"),
    ]
    known = read.as_of(between, [KEY]).collect()
    assert known.equals(read.of_capture(first).collect())
    assert (known.height, known["shares"].sum()) == (20_000, first.shares)


def restated(line: str) -> str:
    """The line with another share quantity."""
    fields = line.split("|")
    return "|".join([*fields[:5], "424242.5", *fields[6:]])


def test_twelve_restatements_of_a_day_are_twelve_vintages(ledger: Ledger) -> None:
    source = MemorySource()
    for number in range(1, 13):
        captured(source, [row("STAY", "UBSA", 1), row("MOVE", "UBSA", number)])
    assert version(12).capture_id == "finra.otc_transparency:OTC:2025-11-14:20251226.12"
    assert [rows_at(version(number))[0] for number in (1, 6, 12)] == [f"MOVE UBSA {n} 1" for n in (1, 6, 12)]
    (change,) = compare.movers(compare.compare(version(1), version(12)), 0, 10)
    assert (change.key.symbol, change.kind) == ("MOVE", "changed")


def test_both_parts_of_a_week_are_in_its_file(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish(KEY, psv(row("AAPL", "UBSA", 1)), psv(row("AAPL", "", 50, 4, name="Firm")))
    ingest.ingest(KEY, source, Terms(run_date=DAY))
    held = read.latest([KEY]).select("week_ending", "tier", "venue_kind", "mpid", "venue_name", "shares").collect()
    assert [(*map(str, line[:5]), int(line[5])) for line in held.rows()] == [
        (str(WEEK), "OTC", "ATS", "UBSA", "UBSA NAME", 1),
        (str(WEEK), "OTC", "NON_ATS", "", "Firm", 50),
    ]
