"""What a payload reads as: rows, which travel as columns of canonical text because a partition has up to 168,000 of them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from pipeline.calendar import CalendarError, parse_day
from pipeline.lines import RejectedLine
from pipeline.sources.base import PartName
from pipeline.sources.finra_api.oddities import Oddities
from pipeline.sources.finra_api.totals import ControlTotals, Listing


@dataclass(frozen=True, slots=True)
class Rows:
    """The kept rows, a list per column, all as canonical text.

    `securities` are "symbol|issue name" and `venues` "mpid|crd|firm name" (an ATS has only its MPID there, a non-ATS firm
    never has one); no field can hold a pipe. `micros` are shares in millionths, `notionals` US dollars in millionths or
    empty, `dates` ISO lastUpdateDates.
    """

    securities: list[str] = field(default_factory=list)
    venues: list[str] = field(default_factory=list)
    product_types: list[str] = field(default_factory=list)
    micros: list[str] = field(default_factory=list)
    trades: list[str] = field(default_factory=list)
    notionals: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.securities)

    def columns(self) -> tuple[list[str], ...]:
        """The columns, natural key first."""
        return (
            self.securities,
            self.venues,
            self.product_types,
            self.micros,
            self.trades,
            self.notionals,
            self.dates,
        )

    def keys(self) -> list[str]:
        """The natural key of each row within its partition."""
        return list(map("|".join, zip(self.securities, self.venues, self.product_types, strict=True)))

    def canonical(self) -> list[str]:
        """Each row as one canonical line, which begins with its natural key."""
        return list(map("|".join, zip(*self.columns(), strict=True)))

    def extend(self, more: Rows) -> None:
        """Append the rows of `more`."""
        for column, addition in zip(self.columns(), more.columns(), strict=True):
            column.extend(addition)

    def without(self, dropped: set[int]) -> Rows:
        """The rows but those at the positions in `dropped`."""
        kept = [i for i in range(len(self)) if i not in dropped]
        return Rows(*([column[i] for i in kept] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class PartRead:
    """One file of a payload: how many lines stand below its header, and whether its last line breaks off."""

    name: PartName
    lines: int
    breaks_off: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """A payload, read: rows in = rows kept + rejects, always.

    `parts` are the files that it is made of, none for the pages of the API. `shares` and `trades` are the sums over the
    kept rows, `shares_non_ats` over those of non-ATS firms. `venue_names` maps an MPID to the participant name that the
    payload last gave it. `updates` counts the lastUpdateDates. `canonical` is the text of the canonical rows in the order of
    their natural keys.

    A payload read by its difference from an earlier one (`pipeline.rereading`) has in `rows` only the rows that the earlier
    one has not, and in `gone` those that it has not itself; read whole, `gone` is None and `rows` are all.

    `controls` are the source's own totals, where it gives some; `oddities` tell what is odd about rows that are kept.
    `listing` counts all that the API sent, its totals too.
    `misplaced` counts the rejects of the non-ATS file that name an MPID, as ATS rows do.
    """

    rows: Rows
    rejects: list[RejectedLine]
    rows_in: int
    rows_kept: int
    rows_non_ats: int
    shares: Decimal
    shares_non_ats: Decimal
    trades: int
    canonical: bytes
    content_hash: str
    venue_names: dict[str, str]
    updates: Counter[str]
    gone: Rows | None = None
    controls: ControlTotals | None = None
    oddities: Oddities = field(default_factory=Oddities)
    parts: tuple[PartRead, ...] = ()
    listing: Listing | None = None
    misplaced: int = 0

    @property
    def newest_update(self) -> date | None:
        """The newest lastUpdateDate."""
        return date.fromisoformat(max(self.updates)) if self.updates else None

    @property
    def listed_rows(self) -> int:
        """How many rows there were at the source."""
        return self.listing.rows if self.listing else self.rows_in

    @property
    def listed_update(self) -> tuple[date, int] | None:
        """The newest lastUpdateDate at the source, and how many rows had it there; None where none had a date."""
        updates = self.listing.updates if self.listing else self.updates
        dates = {day: text for text in updates if (day := _day(text)) is not None}
        if not dates:
            return None
        newest = max(dates)
        return newest, updates[dates[newest]]


def _day(text: str) -> date | None:
    """A lastUpdateDate; None for what is none, which is a reject and counts for nothing."""
    with suppress(CalendarError):
        return parse_day(text)
    return None
