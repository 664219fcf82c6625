"""What is odd about rows that are kept all the same: a person may want to know it, and no row is lost over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.calendar import CalendarError, Tier, parse_day
from pipeline.sources.finra_api.pages import (
    DESCRIPTION,
    NOTIONAL,
    TIER,
    UPDATED,
    WEEK,
    WEEK_STARTED,
    JsonRow,
    unknown_fields,
)

MOST_DOLLARS = 9 * 10**12  # a bigint of millionths
PLACE = (WEEK, WEEK_STARTED, TIER, DESCRIPTION)
TO_WEEK_END = timedelta(days=4)


class Odd(StrEnum):
    """An oddity, as it is told after the number of rows that have it."""

    NOTIONAL = "with a totalNotionalSum that cannot be read, which they are kept without"
    WEEK_STARTED = "with the summaryStartDate of another week"
    UPDATED_EARLY = "with a lastUpdateDate before the end of the week"
    DESCRIPTION = "with a tierDescription that is not the tier's"


@dataclass(slots=True)
class Oddities:
    """How many rows of a payload are odd in which way, and the fields of its rows whose meaning is not known here."""

    rows: Counter[Odd] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)

    def add(self, rows: Sequence[JsonRow]) -> None:
        """Add the rows of a page."""
        self.fields |= unknown_fields(rows)
        self.rows[Odd.NOTIONAL] += sum(not is_notional(row.get(NOTIONAL)) for row in rows)
        places = Counter(tuple(_text(row.get(name)) for name in PLACE) for row in rows)
        for (week, started, tier, description), number in places.items():
            self.rows[Odd.WEEK_STARTED] += number * (started not in ("", week))
            self.rows[Odd.DESCRIPTION] += number * (description != "" and not _is_of(tier, description))
        dates = Counter((_text(row[WEEK]), _text(row[UPDATED])) for row in rows)
        for (week, updated), number in dates.items():
            self.rows[Odd.UPDATED_EARLY] += number * _is_early(week, updated)

    def __str__(self) -> str:
        return "; ".join(f"{number:,} rows {odd}" for odd, number in self.rows.items() if number)


def is_notional(value: Any) -> bool:
    """Whether a value is US dollars, or null."""
    return value is None or (type(value) in (int, Decimal) and 0 <= value < MOST_DOLLARS)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


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
