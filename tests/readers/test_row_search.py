"""Rows by parts of names: what is found, in which order, its sums, page after page, without a row lost or shown twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
import time_machine
from django.core.files.storage import default_storage
from django.utils import timezone

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import without_zeros
from pipeline.models import Capture
from pipeline.readers import ErrorKind, ReadersError, Result
from pipeline.readers.row_search import Sums
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


def told(frame: pl.DataFrame) -> list[tuple[str, str, int, str, str, str]]:
    """Week, tier, version, symbol, venue and shares of each row found."""
    return [
        (
            str(row["week_ending"]),
            row["tier"],
            row["version"],
            row["symbol"],
            row["mpid"] or row["venue_name"],
            f"{without_zeros(row['shares']):f}",
        )
        for row in frame.iter_rows(named=True)
    ]


def whole(found: Result) -> object:
    return found.frame


def first_page(found: Result) -> object:
    return found.page(None, 1)


def sums(found: Result) -> object:
    return found.summary


def test_the_newest_week_comes_first_and_the_largest_row_of_a_symbol(weeks: None) -> None:
    found = readers.row_search(symbol="AAPL", tier="OTC", weeks="all")

    assert told(found.frame) == [
        ("2025-11-14", "OTC", 2, "AAPL", "UBSA", "101"),
        ("2025-11-14", "OTC", 2, "AAPL", "SGMT", "50"),
        ("2025-11-07", "OTC", 1, "AAPL", "UBSA", "100.5"),
        ("2025-11-07", "OTC", 1, "AAPL", "SGMT", "50"),
    ]
    assert found.summary == Sums(rows=4, shares=Decimal("301.5"), trades=10, partitions=2, symbols=1, venues=2)
    assert found.frame.schema == readers.DATASETS["row_search"].schema == readers.DATASETS["rows"].schema


def test_by_shares_the_largest_rows_of_all_come_first(weeks: None) -> None:
    found = readers.row_search(week_ending=WEEK, tier="OTC", sort="shares")

    assert [line[-1] for line in told(found.frame)] == ["101", "50", "25.25", "4"]


def test_parts_of_names_find_what_has_them(weeks: None) -> None:
    for asked, symbols in (
        ({"symbol_prefix": "A"}, ["AAPL", "AAPL"]),
        ({"symbol_prefix": "a"}, []),
        ({"issue_contains": "zz inc"}, ["ZZZZ"]),
        ({"issue_contains": ".*"}, []),
        ({"venue_contains": "BIG"}, ["ZZZZ"]),
        ({"venue_contains": "big", "symbol_prefix": "M"}, []),
        ({"venue_kind": "NON_ATS"}, ["ZZZZ"]),
        ({"mpid": "SGMT"}, ["AAPL"]),
    ):
        found = readers.row_search(week_ending=WEEK, tier="OTC", **asked)
        assert found.frame["symbol"].to_list() == symbols, asked
        assert (found.summary.rows, found.total) == (len(symbols), len(symbols))
        assert (found.empty_because is None) == bool(symbols)


def test_as_of_an_instant_rows_are_as_known_then(weeks: None) -> None:
    def shares(instant: datetime) -> list[str]:
        found = readers.row_search(symbol="AAPL", mpid="UBSA", week_ending=WEEK, as_of=instant)
        return [line[-1] for line in told(found.frame) if line[1] == "OTC"]

    assert [shares(instant) for instant in (BEFORE, MONDAY, TUESDAY, WEDNESDAY)] == [[], ["100.5"], ["101"], ["101"]]


@pytest.mark.parametrize(("size", "sort"), [(1, "newest"), (3, "shares")])
def test_pages_lose_no_row_and_repeat_none(weeks: None, size: int, sort: str) -> None:
    every: list[dict[str, str]] = [{"symbol": "AAPL"}, {"mpid": "UBSA"}, {"symbol_prefix": "", "tier": "OTC"}]
    for asked in every:
        found = readers.row_search(weeks="all", sort=sort, **asked)
        seen, place = [], None
        while True:
            page = found.page(place, size)
            seen.append(page.frame)
            place = page.next
            if place is None:
                break
        assert pl.concat(seen).equals(found.frame)
        assert found.summary.rows == found.frame.height > 3


def test_what_is_not_known_is_no_empty_answer(weeks: None) -> None:
    kinds = {"symbol": ErrorKind.UNKNOWN_SYMBOL, "mpid": ErrorKind.UNKNOWN_VENUE, "sort": ErrorKind.INVALID_PARAMETER}
    for name, kind in kinds.items():
        for read in (whole, first_page):
            with pytest.raises(ReadersError) as refused:
                read(readers.row_search(**{name: "NONE"}))
            assert refused.value.kind is kind


def test_what_retention_removed_is_an_error_and_never_the_closest(weeks: None) -> None:
    pruned = Capture.objects.filter(partition__week_ending=WEEK, partition__tier="OTC", version=1)
    pruned.update(pruned_at=timezone.now())
    default_storage.delete(pruned.get().vintage_path)

    with pytest.raises(ReadersError, match="its rows were given up"):
        readers.row_search(capture=pruned.get().capture_id)
    of_week = readers.row_search(symbol="AAPL", week_ending=WEEK, as_of=MONDAY)
    assert {line[1] for line in told(of_week.frame)} == {"NMS_TIER_1", "NMS_TIER_2"}
    assert [one.state for one in of_week.meta.coverage.missing] == ["PRUNED"]


def test_a_lost_file_is_named_and_never_an_answer_with_fewer_rows(weeks: None) -> None:
    lost = Capture.objects.get(partition__week_ending=OLDER, partition__tier="OTC")
    default_storage.delete(lost.vintage_path)

    for read in (whole, first_page, sums):
        with pytest.raises(ReadersError, match=f"{lost}: its vintage file is missing"):
            read(readers.row_search(symbol="AAPL", weeks="all"))
    assert readers.row_search(symbol="AAPL", week_ending=WEEK).frame.height == 6
