"""The order of rows and the places in it: pages lose no row and repeat none, whichever rows there are."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import ATS
from pipeline.review.row_order import Place, in_order, is_after, parse_place
from tests.review.row_frames import WEEK, random_rows


def place_of(row: dict[str, Any]) -> Place:
    """Where a row of a frame stands, in plain Python."""
    firm = "" if row["venue_kind"] == ATS else row["venue_name"]
    return Place(
        row["week_ending"],
        row["tier"],
        row["symbol"],
        row["shares"],
        row["issue_name"],
        row["mpid"],
        row["crd"],
        firm,
        row["product_type"],
    )


def rank(place: Place) -> tuple[Any, ...]:
    return (-place.week_ending.toordinal(), place.tier, place.symbol, -place.shares, *place[4:])


def weeks_of_rows(seed: int) -> pl.DataFrame:
    keys = [PartitionKey(WEEK - timedelta(days=7 * weeks), tier) for weeks in range(2) for tier in Tier]
    return pl.concat(random_rows(seed + at, key) for at, key in enumerate(keys))


@pytest.mark.parametrize("seed", [0, 100, 200])
def test_pages_of_any_size_give_each_row_once_and_in_order(seed: int) -> None:
    rows = weeks_of_rows(seed)
    expected = sorted(map(place_of, rows.iter_rows(named=True)), key=rank)
    for size in (1, 7, 1000):
        seen: list[Place] = []
        place: Place | None = None
        while True:
            left = rows.lazy().filter(is_after(place)) if place else rows.lazy()
            page = [place_of(row) for row in in_order(left).head(size).collect().iter_rows(named=True)]
            seen += page
            if len(page) < size:
                break
            place = parse_place(str(page[-1]))
        assert seen == expected
    assert len(expected) > 100


def test_a_place_in_an_address_is_the_place_that_was_written() -> None:
    place = Place(date(2025, 11, 14), "OTC", "AMBR.B", Decimal("100.500001"), "Amber Inc", "", "149", "UBS & CO", "")
    assert str(place) == "2025-11-14|OTC|AMBR.B|100.500001|Amber Inc||149|UBS & CO|"
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    "text",
    ["", "1|2", "2025-11-31|OTC|A|1|||||", "2025-11-14|OTC|A|-1|||||", "2025-11-14|OTC|A|NaN|||||", "|" * 8, "|" * 500],
)
def test_other_text_is_no_place(text: str) -> None:
    assert parse_place(text) is None
