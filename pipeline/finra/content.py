"""The content of a payload: one frame of rows, the rejects, and the source's own totals and dates."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import polars as pl

from pipeline.finra.calendar import CalendarError, parse_day
from pipeline.finra.once import once
from pipeline.finra.payloads import PartName
from pipeline.finra.rejects import RejectedLine
from pipeline.finra.rows import IS_ATS, SCHEMA, hash_of, shares_of, with_keys
from pipeline.finra.sources.api.control_totals import ControlTotals, Listing
from pipeline.finra.sources.api.oddities import Oddities


class UnreadablePayload(Exception):
    """The payload as a whole is not FINRA's format. `problem` says what it is and what was expected, `part` where."""

    def __init__(self, problem: str, part: PartName | None = None) -> None:
        self.problem, self.part = problem, part
        super().__init__(f"the {part.kind} file: {problem}" if part else problem)

    def of_file(self, name: str) -> str:
        """The message, under the name that the operator has the part under."""
        return f"{name}: {self.problem}" if self.part else self.problem


@dataclass(frozen=True, slots=True)
class PartRead:
    """One file of a payload: how many lines stand below its header, and whether its last line breaks off."""

    name: PartName
    lines: int
    breaks_off: bool = False


@dataclass(frozen=True)
class Content:
    """A payload, read: rows in = rows kept + rejects, always.

    `keyed` has the kept rows with the columns of `rows.SCHEMA`, texts of which may be categories, and of `rows.with_keys`,
    in canonical order. `parts` are the files that the payload is made of, none for the pages of the API. `shares` and
    `trades` are the sums over the kept rows, `shares_non_ats` over those of non-ATS firms. `updates` counts the
    lastUpdateDates, as text. `controls` are the source's own totals, where it gives some; `oddities` tell what is odd about
    rows that are kept. `listing` counts all that the API sent, its totals too.
    `misplaced` counts the rejects of the non-ATS file that name an MPID, as ATS rows do.
    """

    keyed: pl.DataFrame
    rejects: list[RejectedLine]
    rows_in: int
    rows_non_ats: int
    shares: Decimal
    shares_non_ats: Decimal
    trades: int
    updates: Counter[str]
    controls: ControlTotals | None = None
    oddities: Oddities = field(default_factory=Oddities)
    parts: tuple[PartRead, ...] = ()
    listing: Listing | None = None
    misplaced: int = 0

    @once
    def content_hash(self) -> str:
        """The content hash, computed when it is first asked for: other work on the rows need not wait for it."""
        return hash_of(self.keyed)

    @property
    def frame(self) -> pl.DataFrame:
        """The kept rows as `rows.SCHEMA` has them, in canonical order."""
        return self.keyed.select(SCHEMA.names()).cast(SCHEMA)

    @property
    def rows_kept(self) -> int:
        """How many rows are kept."""
        return self.keyed.height

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


def content_of(
    frame: pl.DataFrame,
    rejects: list[RejectedLine],
    *,
    controls: ControlTotals | None = None,
    oddities: Oddities | None = None,
    parts: tuple[PartRead, ...] = (),
    listing: Listing | None = None,
    misplaced: int = 0,
) -> Content:
    """The content that kept rows (`rows.SCHEMA`, in canonical order) and rejects make, with its sums."""
    keyed = with_keys(frame)
    firms = frame.select("venue_kind", "shares").filter(~IS_ATS)
    dates = frame["last_update_date"].value_counts()
    return Content(
        keyed=keyed,
        rejects=sorted(rejects, key=lambda reject: (reject.part, reject.line)),
        rows_in=frame.height + len(rejects),
        rows_non_ats=firms.height,
        shares=shares_of(frame),
        shares_non_ats=shares_of(firms),
        trades=int(frame["trades"].sum()),
        updates=Counter({day.isoformat(): number for day, number in dates.iter_rows()}),
        controls=controls,
        oddities=oddities or Oddities(),
        parts=parts,
        listing=listing,
        misplaced=misplaced,
    )


def _day(text: str) -> date | None:
    """A lastUpdateDate; None for text that is no date: its row is a reject."""
    with suppress(CalendarError):
        return parse_day(text)
    return None
