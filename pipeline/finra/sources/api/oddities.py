"""Oddities of rows that are kept all the same: a person may want to know them, and no row is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

import polars as pl

from pipeline.finra.calendar import CalendarError, Tier, parse_day

MOST_DOLLARS = 9 * 10**12
DOLLARS = pl.Decimal(38, 6)
MOST_DIGITS = 40
PLACE = ("week_start", "week_started", "tier_code", "description")
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

    def __str__(self) -> str:
        return "; ".join(f"{number:,} rows {odd}" for odd, number in self.rows.items() if number)


def oddities_of(rows: pl.DataFrame, unknown: frozenset[str]) -> Oddities:
    """The oddities of rows (columns as `decoding.Rows`, the totals among them) with these unknown fields."""
    odd: Counter[Odd] = Counter()
    odd[Odd.NOTIONAL] = rows.filter(pl.col("notional").is_not_null() & dollars().is_null()).height
    for week, started, tier, description, number in rows.group_by(PLACE).len().iter_rows():
        odd[Odd.WEEK_STARTED] += number * (started not in ("", week))
        odd[Odd.DESCRIPTION] += number * (description != "" and not _is_of(tier, description))
    for week, updated, number in rows.group_by("week_start", "last_update_date").len().iter_rows():
        odd[Odd.UPDATED_EARLY] += number * _is_early(week, updated)
    return Oddities(odd, unknown)


def dollars() -> pl.Expr:
    """The notional in US dollars, rounded to millionths, for FINRA sends sums of fractions.

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
