"""Orders and the places in them: pages lose no row and repeat none, whichever rows there are."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.readers import ReadersError
from pipeline.readers.orders import Order
from pipeline.readers.result import Place
from tests.readers.row_frames import WEEK, random_rows

KEY = ("week_ending", "tier", "symbol", "shares", "issue_name", "mpid", "crd", "venue_name", "product_type")


def rank(row: dict[str, Any]) -> tuple[Any, ...]:
    """Where a row stands, in plain Python: the newest week first, of a symbol the row of the most shares."""
    return (
        -row["week_ending"].toordinal(),
        row["tier"],
        row["symbol"],
        -row["shares"],
        *(row[name] for name in KEY[4:]),
    )


def weeks_of_rows(seed: int) -> pl.DataFrame:
    keys = [PartitionKey(WEEK - timedelta(days=7 * weeks), tier) for weeks in range(2) for tier in Tier]
    return pl.concat(random_rows(seed + at, key) for at, key in enumerate(keys))


@pytest.mark.parametrize("seed", [0, 100, 200])
def test_pages_of_any_size_give_each_row_once_and_in_order(seed: int) -> None:
    rows = weeks_of_rows(seed)
    order = Order(rows.schema, KEY, ("week_ending", "shares"))
    expected = sorted(rows.to_dicts(), key=rank)
    for size in (1, 7, 1000):
        seen: list[dict[str, Any]] = []
        place: Place | None = None
        while True:
            left = rows.lazy().filter(order.is_behind(place)) if place else rows.lazy()
            page = order.sorted(left).head(size).collect()
            seen += page.to_dicts()
            if page.height < size:
                break
            place = order.place(page)
        assert seen == expected
    assert len(expected) > 100


def test_a_place_is_made_of_texts_and_numbers_and_is_exact() -> None:
    rows = random_rows(1).head(1).with_columns(pl.lit(Decimal("100.500001")).cast(pl.Decimal(18, 6)).alias("shares"))
    order = Order(rows.schema, ("week_ending", "shares", "trades"))
    week, shares, trades = order.place(rows)

    assert (week, shares) == (rows["week_ending"][0].isoformat(), "100.500001")
    assert rows.filter(order.is_behind((week, shares, trades))).is_empty()
    assert rows.filter(order.is_behind((week, "100.500000", trades))).height == 1


@pytest.mark.parametrize(
    "place",
    [(), ("2025-11-14",), ("2025-11-31", "1", 1), ("2025-11-14", "NaN?", 1), ("2025-11-14", "1", "one")]
    + [("2025-11-14", odd, 1) for odd in ("NaN", "Infinity", 1e308, "1e12", "0.0000001", "1e-400")],
)
def test_what_is_no_place_is_refused(place: Place) -> None:
    rows = random_rows(1)
    with pytest.raises(ReadersError, match="is no place in this answer"):
        rows.filter(Order(rows.schema, ("week_ending", "shares", "trades")).is_behind(place))
