"""Oddities of rows that are kept all the same: a person may want to know them, and no row is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

import polars as pl

from pipeline.finra.calendar import CalendarError, Tier, parse_day

MOST_DOLLARS = 9 * 10**12
DOLLARS = pl.Decimal(38, 6)
MOST_DIGITS = 40
PLACE = ("week_start", "week_started", "tier_code", "description", "last_update_date")
TO_WEEK_END = timedelta(days=4)


class Odd(StrEnum):
    """An oddity, as it is told after the number of rows that have it."""

    NOTIONAL = "with a totalNotionalSum that cannot be read, which they are kept without"
    WEEK_STARTED = "with the summaryStartDate of another week"
    UPDATED_EARLY = "with a lastUpdateDate before the end of the week"
    DESCRIPTION = "with a tierDescription that is not the tier's"


@dataclass(frozen=True, slots=True)
class Oddities:
    """How many rows of a payload are odd in which way, and the fields of its rows whose meaning is not known here."""

    rows: Counter[Odd] = field(default_factory=Counter)
    fields: frozenset[str] = frozenset()

    def __add__(self, other: Oddities) -> Oddities:
        return Oddities(self.rows + other.rows, self.fields | other.fields)

    def __str__(self) -> str:
        return "; ".join(f"{self.rows[odd]:,} rows {odd}" for odd in Odd if self.rows[odd])


def oddities_of(rows: pl.DataFrame, notionals: pl.Series, unknown: frozenset[str]) -> Oddities:
    """The oddities of a page's rows (columns as `decoding.Rows`, the totals among them) with these unknown fields.

    `notionals` are as FINRA wrote them.
    """
    odd: Counter[Odd] = Counter()
    odd[Odd.NOTIONAL] = rows["notional"].null_count() - notionals.null_count()
    for week, started, tier, description, updated, number in counted(rows, PLACE):
        odd[Odd.WEEK_STARTED] += number * (started not in ("", week))
        odd[Odd.DESCRIPTION] += number * (description != "" and not _is_of(tier, description))
        odd[Odd.UPDATED_EARLY] += number * _is_early(week, updated)
    return Oddities(odd, unknown)


def counted(rows: pl.DataFrame, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """What rows have in some columns, and how many have it. On most pages that is the same in all of them."""
    values = rows.select(columns)
    if rows.height and all((column == column[0]).all() for column in values.iter_columns()):
        return [(*values.row(0), rows.height)]
    return values.group_by(columns).len().iter_rows()


def dollars() -> pl.Expr:
    """A notional as FINRA wrote it in US dollars, rounded to millionths, for FINRA sends sums of fractions.

    Null where FINRA gives none, or one that cannot be read (`Odd.NOTIONAL`): it never costs a row its shares.
    """
    number = pl.col("notional").cast(DOLLARS, strict=False)
    is_read = number.is_between(0, MOST_DOLLARS, closed="left") & (pl.col("notional").str.len_bytes() <= MOST_DIGITS)
    return pl.when(is_read).then(number).alias("notional")


def _is_of(tier: str, description: str) -> bool:
    try:
        return Tier.parse(description) is Tier.parse(tier)
    except CalendarError:
        return False


def _is_early(week: str, updated: str) -> bool:
    """A date that is none is a reject, and is told as that."""
    try:
        return parse_day(updated) < parse_day(week) + TO_WEEK_END
    except CalendarError:
        return False
