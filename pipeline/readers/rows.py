"""Rows as FINRA published them, of the vintage of each partition that is asked for.

In the order of week and tier, within a partition in that of its vintage file. A place in that order is the partition and the
number of the row within the file, which never changes: a walk over pages goes on where it was without reading what it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import MONDAY_TO_FRIDAY, PartitionKey, Tier, read_day
from pipeline.models import Capture
from pipeline.readers import caveats, published
from pipeline.readers.chosen import Chosen, choose
from pipeline.readers.datasets.rows import ROWS
from pipeline.readers.keywords import Asked, RowsAsked
from pipeline.readers.known import check_known, lacking, named_in, require_known
from pipeline.readers.meta import meta_of
from pipeline.readers.once import once
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, VenueKinds, question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Page, Place, Result
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import NOTHING_CAPTURED
from pipeline.readers.values import invalid
from pipeline.vintages import read

NUMBER = "row_number"
NUMBERED = pl.Schema({**ROWS.schema, NUMBER: pl.UInt32()})
NOTHING_KNOWN_THEN = (
    "nothing of these weeks and tiers was captured by then; clock=published asks what FINRA had published"
)
MANY = 40  # partitions that are read at once: those of a quarter
FEW = 10  # symbols: each has some thousand rows in five years


@answering
def rows(**asked: Unpack[RowsAsked]) -> Result:
    """The rows that FINRA published for weeks, tiers, symbols and venues, as of the instant that is asked for.

    Without weeks the newest captured one of each tier. ReadersError, now or when rows are read.
    """
    question = question_of(asked)
    chosen = choose(question)
    meta = meta_of(ROWS.name, question, chosen, None, published.follows_from(question, chosen.captures))
    warnings = (*caveats.of_clock(question), *caveats.of_rows(chosen))
    lacking = published.counting(question, chosen.captures, wanted(question))
    return Result(ROWS, meta, warnings, VintageRows(question, chosen), summing=lacking)


def conditions(question: Question) -> list[pl.Expr]:
    """What a row has to be: one that is wanted, and by FINRA's clock one that was published by then."""
    by_clock = [published.condition(question.selector)] if published.is_published(question) else []
    return [*wanted(question), *by_clock]


def wanted(question: Question) -> list[pl.Expr]:
    """What a row has to be of the question's kinds, securities and venues."""
    found: list[pl.Expr] = []
    if question.venue_kind is not VenueKinds.ALL:
        found.append(pl.col("venue_kind") == question.venue_kind.value)
    if question.symbols:
        found.append(one_of("symbol", question.symbols))
    if question.issue_name is not None:
        found.append(pl.col("issue_name") == question.issue_name)
    return [*found, *of_venue(question)]


def of_venue(question: Question) -> list[pl.Expr]:
    """That a row is of the venue that is asked for."""
    venue, found = question.venue, list[pl.Expr]()
    if venue.mpids:
        found.append(one_of("mpid", venue.mpids))
    if venue.crd is not None:
        found.append(pl.col("crd") == venue.crd)
    if venue.name is not None:
        found.append(pl.col("venue_name") == venue.name)
    return found


def one_of(column: str, values: tuple[str, ...]) -> pl.Expr:
    """That a column has one of these values. Of one, an equation: row groups are passed over by it."""
    return pl.col(column) == values[0] if len(values) == 1 else pl.col(column).is_in(list(values))


@once
def of_symbols(symbols: tuple[str, ...], captures: tuple[Capture, ...]) -> pl.DataFrame:
    """The rows of some symbols in the files of some vintages, in the columns of a vintage. Errors as `read.of_captures`."""
    return read.of_captures(captures).filter(one_of("symbol", symbols)).collect()


def shown(rows: pl.LazyFrame, captures: Sequence[Capture], *, numbered: str | None = None) -> pl.LazyFrame:
    """Rows of these vintages with the columns of the dataset; `numbered` as `read.with_vintages`, behind them."""
    week_start = (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start")
    names = (*ROWS.names, numbered) if numbered else ROWS.names
    return read.with_vintages(rows, captures, numbered=numbered).with_columns(week_start).select(names)


@dataclass(frozen=True)
class VintageRows:
    """The rows of some vintages that a question asks for."""

    question: Question
    chosen: Chosen

    @cached_property
    def captures(self) -> list[Capture]:
        """The vintages that are read."""
        return list(self.chosen.captures)

    def lazy(self) -> pl.LazyFrame:
        """All of the rows, in order."""
        return shown(self._wanted(), self.captures)

    def _wanted(self) -> pl.LazyFrame:
        """Those that fit, in the columns of a vintage: of a few symbols, whose rows are few, found once."""
        symbols = self.question.symbols
        rows = of_symbols(symbols, tuple(self.captures)).lazy() if self.are_few else read.of_captures(self.captures)
        return rows.filter(*conditions(self.question))

    @property
    def are_few(self) -> bool:
        """Whether the rows are those of a few symbols."""
        return 0 < len(self.question.symbols) <= FEW

    @cached_property
    def found(self) -> pl.DataFrame:
        """All of the rows, of a few symbols or others."""
        with reading(self.captures):
            return self.lazy().collect()

    def collect(self) -> pl.DataFrame:
        """All of the rows. ReadersError for a symbol or a venue that was never seen."""
        require_known(self.question, self.found)
        return self.found

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows of some partitions at a time; those of a few symbols at once. ReadersError as `collect`."""
        if self.are_few:
            yield self.collect()
            return
        named = named_in(self.question)
        for captures in self._some_at_a_time(self.captures) if self.captures else ([],):
            found = self._of(captures).drop(NUMBER)
            named = lacking(named, found)
            yield found
        check_known(named)

    @property
    def knows_total(self) -> bool:
        """Whether all rows are asked for."""
        return not conditions(self.question)

    def total(self) -> int:
        """How many rows there are: where all rows are asked for, by the ledger."""
        if self.knows_total:
            return sum(capture.rows_kept for capture in self.captures)
        if self.are_few:
            return self.found.height
        with reading(self.captures):
            number: int = self.lazy().select(pl.len()).collect().item()
        return number

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of the rows: no file is opened of a partition before the place, and none that the page does not need."""
        found, more = self._read(place_of(after) if after is not None else None, limit)
        if after is None and (named := lacking(named_in(self.question), found)):
            check_known(lacking(named, self._symbols_and_venues()) if more else named)
        return Page(found.drop(NUMBER), _place(found) if more else None)

    def why_empty(self) -> str | None:
        """Why there are no rows."""
        if not self.captures:
            return NOTHING_KNOWN_THEN if self.question.selector.kind is SelectorKind.AS_OF else NOTHING_CAPTURED
        return "what is asked for has no row in these weeks and tiers, though it is known"

    def _symbols_and_venues(self) -> pl.DataFrame:
        with reading(self.captures):
            found = read.of_captures(self.captures).filter(*conditions(self.question))
            return found.select("symbol", "mpid", "crd", "venue_name").unique().collect()

    def _read(self, since: tuple[PartitionKey, int] | None, limit: int) -> tuple[pl.DataFrame, bool]:
        """The rows of a page, and whether there are more."""
        left = [one for one in self.captures if since is None or one.partition.key >= since[0]]
        behind = since[1] if since and left and left[0].partition.key == since[0] else -1
        frames, lacks = [NUMBERED.to_frame(eager=True)], limit + 1
        for captures in self._some_at_a_time(left):
            frames.append(self._of(captures, behind, lacks))
            lacks, behind = lacks - frames[-1].height, -1
            if lacks <= 0:
                break
        found = pl.concat(frames)
        return found.head(limit), found.height > limit

    def _some_at_a_time(self, captures: list[Capture]) -> Iterator[list[Capture]]:
        """Twice as many each time: one scan over many files costs less than many scans, and a page needs few of them.

        Of a symbol, which has few rows in each, more at first and any number at last.
        """
        symbols = len(self.question.symbols)
        many, most = (MANY, max(MANY, len(captures) // symbols)) if symbols else (1, MANY)
        while captures:
            some, captures = captures[:many], captures[many:]
            yield some
            many = min(2 * many, most)

    def _of(self, captures: list[Capture], behind: int = -1, most: int | None = None) -> pl.DataFrame:
        """The rows of some vintages, of the first those that stand behind a number; each with its number in its file."""
        wanted = conditions(self.question)
        with reading(captures):
            found = read.of_captures(captures, numbered=NUMBER)
            if wanted:
                found = found.filter(pl.col(NUMBER) > behind, *wanted) if behind >= 0 else found.filter(*wanted)
            elif behind >= 0:
                found = found.slice(behind + 1)
            return shown(found if most is None else found.head(most), captures, numbered=NUMBER).collect()


def _place(found: pl.DataFrame) -> Place:
    week, tier, number = found.select("week_ending", "tier", NUMBER).row(-1)
    return week.isoformat(), tier, number


def place_of(after: Place) -> tuple[PartitionKey, int]:
    """The partition and the number of a row. ReadersError for what no page gave."""
    if len(after) == 3:
        week, tier, number = after
        day = read_day(week) if isinstance(week, str) else None
        if day and tier in list(Tier) and isinstance(number, int) and number >= 0:
            return PartitionKey(day, Tier(str(tier))), number
    raise invalid("cursor", f"{after!r} is no place among rows")


def vintage_file(capture_id: str) -> bytes:
    """The file of a capture as it is: its columns are those of a vintage, not of this dataset. ReadersError."""
    [capture] = choose(question_of(Asked(capture=capture_id))).captures
    with reading([capture]):
        return read.file_of(capture)
