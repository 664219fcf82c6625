"""Searching rows: what is found, its sums, in which order, page after page, without a row lost or shown twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
import time_machine
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import without_zeros
from pipeline.models import Capture
from pipeline.review import row_search
from pipeline.review.row_question import RowQuestion
from pipeline.review.row_search import RowPage, TooManyRows, Totals, every_row, find
from pipeline.vintages.files import StorageAway
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged
from tests.support.engines import Ledger
from tests.vintages.frames import stored

WEEK, OLDER = date(2025, 11, 14), date(2025, 11, 7)
OTC = PartitionKey(WEEK, Tier.OTC)
ROWS = (
    ("AAPL", "UBSA", "100.5", 3),
    ("AAPL", "SGMT", "50", 2),
    ("MSFT", "UBSA", "25.25", 1),
    ("ZZZZ", "Big Firm", "4", 1),
)
RESTATED = (("AAPL", "UBSA", "101", 3), *ROWS[1:])
BEFORE = datetime(2025, 12, 15, 9, tzinfo=UTC)
MONDAY = datetime(2025, 12, 15, 16, tzinfo=UTC)
TUESDAY = datetime(2025, 12, 16, 16, tzinfo=UTC)
WEDNESDAY = datetime(2025, 12, 17, 16, tzinfo=UTC)


@pytest.fixture(autouse=True)
def wednesday() -> Iterator[None]:
    """What is asked is asked on the Wednesday after."""
    with time_machine.travel(WEDNESDAY):
        yield


@pytest.fixture
def weeks(ledger: Ledger) -> None:
    """Two weeks of four rows a tier, known on Monday; on Tuesday OTC's AAPL at UBSA is restated from 100.5 to 101."""
    for week_ending in (OLDER, WEEK):
        for tier in Tier:
            stored(ROWS, MONDAY, key=PartitionKey(week_ending, tier))
    stored(RESTATED, TUESDAY, key=OTC)


def told(page: RowPage) -> list[tuple[str, str, int, str, str, str]]:
    """Week, tier, version, symbol, venue and shares of each row found."""
    return [
        (
            str(row.capture.partition.week_ending),
            row.capture.partition.tier,
            row.capture.version,
            row.symbol,
            row.mpid or row.venue_name,
            f"{without_zeros(row.shares):f}",
        )
        for row in page.rows
    ]


def test_a_symbol_is_found_in_all_weeks_the_newest_and_largest_first(weeks: None) -> None:
    page = find(RowQuestion(symbol="AAPL", tier="OTC"))

    assert told(page) == [
        ("2025-11-14", "OTC", 2, "AAPL", "UBSA", "101"),
        ("2025-11-14", "OTC", 2, "AAPL", "SGMT", "50"),
        ("2025-11-07", "OTC", 1, "AAPL", "UBSA", "100.5"),
        ("2025-11-07", "OTC", 1, "AAPL", "SGMT", "50"),
    ]
    assert page.totals == Totals(rows=4, shares=Decimal("301.5"), trades=10, partitions=2)
    assert (page.older, page.next_place, page.notes, len(page.searched)) == (None, None, [], 2)


def test_as_of_an_instant_rows_are_as_known_then(weeks: None) -> None:
    def shares(instant: datetime) -> list[str]:
        page = find(RowQuestion(symbol="AAPL", venue="UBSA", tier="OTC", week_ending=WEEK, instant=instant))
        return [line[-1] for line in told(page)]

    assert [shares(instant) for instant in (BEFORE, MONDAY, TUESDAY, WEDNESDAY)] == [[], ["100.5"], ["101"], ["101"]]


@pytest.mark.parametrize(
    ("symbol", "venue", "found"),
    [
        ("MSFT", "", [("MSFT", "UBSA")]),
        ("msft", "", [("MSFT", "UBSA")]),
        ("MS", "", [("MSFT", "UBSA")]),
        ("NONE", "", []),
        ("AAPL", "sgmt", [("AAPL", "SGMT")]),
        ("AAPL", "NOPE", []),
        ("", "SGMT", [("AAPL", "SGMT")]),
        ("", "big", [("ZZZZ", "Big Firm")]),
    ],
)
def test_symbols_and_venues_are_found_as_people_write_them(
    weeks: None, symbol: str, venue: str, found: list[tuple[str, str]]
) -> None:
    page = find(RowQuestion(symbol=symbol, venue=venue, week_ending=WEEK, tier="OTC"))

    assert [line[3:5] for line in told(page)] == found
    assert page.totals.rows == len(found)


def test_an_issue_is_found_by_a_part_of_its_name(weeks: None) -> None:
    page = find(RowQuestion(issue="zz inc", week_ending=WEEK))

    assert [line[:4] for line in told(page)] == [
        ("2025-11-14", tier.value, 2 if tier is Tier.OTC else 1, "ZZZZ") for tier in Tier
    ]


def test_a_symbol_that_is_not_there_is_never_answered_by_another_silently(ledger: Ledger) -> None:
    stored((("AMBR.B", "UBSA", "7", 1), ("AMBR.A", "SGMT", "5", 1)), MONDAY)

    page = find(RowQuestion(symbol="AMBR"))

    assert [row.symbol for row in page.rows] == ["AMBR.A", "AMBR.B"]
    assert page.notes == ["there is no symbol AMBR: these are of AMBR.A, AMBR.B"]
    stored((("AMBR", "SGMT", "9", 1), ("AMBR.B", "UBSA", "7", 1)), TUESDAY)
    assert [row.symbol for row in find(RowQuestion(symbol="AMBR")).rows] == ["AMBR"]
    assert find(RowQuestion(symbol="AMBR", venue="UBSA")).rows == []


def test_a_venue_is_searched_six_weeks_at_a_time(ledger: Ledger) -> None:
    every_week = [WEEK - timedelta(days=7 * number) for number in range(8)]
    for week_ending in every_week:
        for tier in Tier:
            stored(ROWS, MONDAY, key=PartitionKey(week_ending, tier))

    newest = find(RowQuestion(venue="SGMT"))
    older = find(RowQuestion(venue="SGMT", before=newest.older))

    assert newest.totals == Totals(rows=18, shares=Decimal(900), trades=36, partitions=18)
    assert {row.capture.partition.week_ending for row in newest.rows} == set(every_week[:6])
    assert older.totals == Totals(rows=6, shares=Decimal(300), trades=12, partitions=6)
    assert (newest.older, older.older, len(newest.searched)) == (every_week[5], None, 18)
    assert (
        find(RowQuestion(venue="NOPE")).older == every_week[5]
    )  # nothing is found, and there are older weeks to search


def test_a_venue_that_is_found_by_its_name_is_named(weeks: None) -> None:
    page = find(RowQuestion(venue="firm", tier="OTC"))

    assert page.notes == ["no MPID or CRD number is firm: these are of Big Firm"]
    assert find(RowQuestion(venue="UBSA")).notes == []


@pytest.mark.parametrize("size", [1, 3, 4])
def test_pages_lose_no_row_and_repeat_none(weeks: None, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(row_search, "PAGE", size)
    capture = Capture.objects.get(partition__week_ending=WEEK, partition__tier="OTC", version=2)
    for question in (RowQuestion(capture=capture), RowQuestion(symbol="AAPL"), RowQuestion(venue="UBSA")):
        seen, place = [], None
        while True:
            page = find(replace(question, place=place))
            seen += told(page)
            place = page.next_place
            if place is None:
                break
        assert len(seen) == len(set(seen)) == page.totals.rows > 3


def test_a_vintage_that_was_superseded_is_shown_as_it_was(weeks: None) -> None:
    first = Capture.objects.get(partition__week_ending=WEEK, partition__tier="OTC", version=1)

    page = find(RowQuestion(symbol="AAPL", venue="UBSA", capture=first))

    assert [line[2::3] for line in told(page)] == [(1, "100.5")]


def test_without_a_question_the_newest_week_is_shown(weeks: None) -> None:
    page = find(RowQuestion())

    assert {line[0] for line in told(page)} == {"2025-11-14"}
    assert page.totals == Totals(rows=12, shares=Decimal("539.75"), trades=21, partitions=3)
    assert page.older == WEEK
    assert {line[0] for line in told(find(RowQuestion(before=page.older)))} == {"2025-11-07"}


def test_what_retention_removed_is_an_error_and_never_the_closest(weeks: None) -> None:
    pruned = Capture.objects.filter(partition__week_ending=WEEK, partition__tier="OTC", version=1)
    pruned.update(pruned_at=timezone.now())
    default_storage.delete(pruned.get().vintage_path)

    with pytest.raises(NoSuchVintage, match="its rows were given up"):
        find(RowQuestion(capture=pruned.get()))
    page = find(RowQuestion(symbol="AAPL", tier="OTC", week_ending=WEEK, instant=MONDAY))
    assert (told(page), page.notes) == ([], [f"retention has removed the rows of {pruned.get()}"])


def test_a_lost_file_is_named_and_never_an_answer_with_fewer_rows(weeks: None) -> None:
    lost = Capture.objects.get(partition__week_ending=OLDER, partition__tier="OTC")
    default_storage.delete(lost.vintage_path)

    for question in (
        RowQuestion(symbol="AAPL"),
        RowQuestion(symbol="AAPL", week_ending=OLDER),
        RowQuestion(capture=lost),
    ):
        with pytest.raises(VintageDamaged, match=f"{lost}: its vintage file is missing"):
            find(question)
    assert len(find(RowQuestion(symbol="AAPL", week_ending=WEEK)).rows) == 6


def test_a_file_that_was_changed_is_named(weeks: None) -> None:
    spoilt = Capture.objects.get(partition__week_ending=OLDER, partition__tier="OTC")
    with open(default_storage.path(spoilt.vintage_path), "r+b") as file:
        file.write(b"x" * (spoilt.vintage_bytes or 0))

    with pytest.raises(VintageDamaged, match=f"{spoilt}: its vintage file is not what was written"):
        find(RowQuestion(symbol="AAPL"))


def test_a_storage_that_is_not_mounted_is_no_empty_answer(weeks: None) -> None:
    for path in Capture.objects.values_list("vintage_path", flat=True):
        default_storage.delete(path)
    for folder in sorted(default_storage_folders(), key=len, reverse=True):
        default_storage.delete(folder)

    with pytest.raises(StorageAway, match="is it mounted"):
        find(RowQuestion(symbol="AAPL"))


def default_storage_folders() -> set[str]:
    paths = Capture.objects.values_list("vintage_path", flat=True)
    return {path.rsplit("/", up)[0] for path in paths for up in (1, 2)}


def test_before_anything_is_captured_it_says_so(ledger: Ledger) -> None:
    for question in (RowQuestion(), RowQuestion(symbol="AAPL"), RowQuestion(venue="UBSA", instant=MONDAY)):
        page = find(question)
        assert (page.rows, page.notes, page.totals) == ([], ["nothing is captured there yet"], Totals())


def test_every_row_of_an_answer_comes_with_its_vintage(weeks: None) -> None:
    found = every_row(RowQuestion(symbol="AAPL", tier="OTC"))

    assert found.select("symbol", "mpid", "shares", "version").rows() == [
        ("AAPL", "UBSA", Decimal(101), 2),
        ("AAPL", "SGMT", Decimal(50), 2),
        ("AAPL", "UBSA", Decimal("100.5"), 1),
        ("AAPL", "SGMT", Decimal(50), 1),
    ]
    ids = Capture.objects.filter(pk__in=[row.capture.pk for row in find(RowQuestion(symbol="AAPL", tier="OTC")).rows])
    assert set(found["capture_id"]) == set(ids.values_list("capture_id", flat=True))
    assert found["shares"].dtype == pl.Decimal(18, 6)


def test_no_download_has_more_rows_than_a_process_can_hold(weeks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_search, "MOST_DOWNLOADED", 11)

    with pytest.raises(TooManyRows, match="12 rows fit, and a download has at most 11: narrow the search"):
        every_row(RowQuestion())
    assert every_row(RowQuestion(tier="OTC")).height == 4


def test_two_weeks_take_as_many_queries_as_one(weeks: None) -> None:
    def statements(question: RowQuestion) -> int:
        with CaptureQueriesContext(connection) as asked:
            find(question)
        return len(asked)

    assert statements(RowQuestion(symbol="AAPL")) == statements(RowQuestion(symbol="AAPL", week_ending=WEEK)) == 1
    assert statements(RowQuestion(venue="UBSA")) == statements(RowQuestion()) == 1
