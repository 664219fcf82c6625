"""The order in which rows are shown, and the place at which a page of them ended.

The newest week first, then tier and symbol, within a symbol the row of the most shares first, then the rest of the natural
key. No two rows of a vintage have one place, and a row keeps its place in a newer vintage that has it unchanged.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from pipeline.finra.calendar import CalendarError, parse_day
from pipeline.finra.rows import FIRM, SHARES

SEPARATOR = "|"  # no field of a row can hold it
QUANTITY = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
BY = (
    pl.col("week_ending"),
    pl.col("tier"),
    pl.col("symbol"),
    pl.col("shares"),
    pl.col("issue_name"),
    pl.col("mpid"),
    pl.col("crd"),
    FIRM,
    pl.col("product_type"),
)
FROM_THE_GREATEST = (True, False, False, True, False, False, False, False, False)


class Place(NamedTuple):
    """Where a row stands in the order."""

    week_ending: date
    tier: str
    symbol: str
    shares: Decimal
    issue_name: str
    mpid: str
    crd: str
    firm: str
    product_type: str

    def __str__(self) -> str:
        return SEPARATOR.join(f"{field:f}" if isinstance(field, Decimal) else str(field) for field in self)


def parse_place(text: str) -> Place | None:
    """The place that `str(place)` wrote; None for any other text."""
    fields = text.split(SEPARATOR)
    if len(fields) != len(BY) or not QUANTITY.fullmatch(fields[3]):
        return None
    with suppress(CalendarError):
        return Place(parse_day(fields[0]), fields[1], fields[2], Decimal(fields[3]), *fields[4:])
    return None


def in_order(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows, sorted."""
    return rows.sort(BY, descending=FROM_THE_GREATEST)


def is_after(place: Place) -> pl.Expr:
    """Whether a row stands behind a place."""
    after = pl.lit(False)
    for column, field, descends in reversed(list(zip(BY, place, FROM_THE_GREATEST, strict=True))):
        value = pl.lit(field, dtype=SHARES) if isinstance(field, Decimal) else pl.lit(field)
        beyond = column < value if descends else column > value
        after = beyond | ((column == value) & after)
    return after
