"""Searching rows by symbol, issue, venue, week, tier, capture, instant: the sums of what is found, and a page at a time.

The ledger chooses the vintage files, and one query reads them. A symbol is looked for in all weeks, since a file sorted by
symbol is passed over where it is not in it. Any other word has to be looked for in every row: `WEEKS_OF_A_WORD` weeks at a
time, and a week at a time without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import polars as pl

from pipeline.finra.rows import ATS
from pipeline.models import Capture
from pipeline.review.row_order import Place, in_order, is_after
from pipeline.review.row_question import RowQuestion, newest_weeks, vintages_of
from pipeline.review.row_words import issue_is_named, listed, symbol_begins, symbol_is, venue_is, venue_is_named
from pipeline.vintages import read

PAGE = 100
MOST_DOWNLOADED = 500_000
SHOWN = (
    "venue_kind",
    "symbol",
    "issue_name",
    "mpid",
    "crd",
    "venue_name",
    "product_type",
    "shares",
    "trades",
    "notional",
    "last_update_date",
)


class TooManyRows(Exception):
    """More rows are found than a download may have."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, and the vintage that it is of. Shares are exact; notional, in US dollars, is None where FINRA gives none."""

    capture: Capture
    venue_kind: str
    symbol: str
    issue_name: str
    mpid: str
    crd: str
    venue_name: str
    product_type: str
    shares: Decimal
    trades: int
    notional: Decimal | None
    last_update_date: date

    @property
    def firm(self) -> str:
        """The name as far as it is part of the natural key: that of a firm, not of an ATS."""
        return "" if self.venue_kind == ATS else self.venue_name

    @property
    def place(self) -> Place:
        """Where it stands in the order of rows."""
        key = self.capture.partition.key
        named = (self.issue_name, self.mpid, self.crd, self.firm, self.product_type)
        return Place(key.week_ending, key.tier, self.symbol, self.shares, *named)


@dataclass(frozen=True, slots=True)
class Totals:
    """All that was found, on this page or not: rows, their sums, and the partitions that have one."""

    rows: int = 0
    shares: Decimal = Decimal(0)
    trades: int = 0
    partitions: int = 0


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page of what was found in `searched`; where the next starts, or before which week older ones go on.

    `notes` say what a person would not guess of the answer.
    """

    rows: list[Row] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    searched: list[Capture] = field(default_factory=list)
    next_place: Place | None = None
    older: date | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Inexact:
    """A word that is in no row as it was written: the column that has it otherwise, whose values the answer names."""

    column: str
    told_of: str


@dataclass(frozen=True, slots=True)
class _Search:
    """A question, read: the vintages that are searched, their rows that fit, the week before which there are more."""

    captures: list[Capture]
    rows: pl.LazyFrame
    older: date | None = None
    inexact: tuple[_Inexact, ...] = ()


def find(question: RowQuestion) -> RowPage:
    """A page of the rows that fit. NoSuchVintage where those of the capture are not stored, VintageDamaged, StorageAway."""
    captures = vintages_of(question)
    if not captures:
        return RowPage(notes=["nothing is captured there yet"])
    with read.naming_damage(_stored(captures)):
        search = _search(question, captures)
        sums, page, *names = pl.collect_all([_sums(search.rows), _page(search.rows, question.place), *_names(search)])
    rows = _rows(page, search.captures)
    return RowPage(
        rows[:PAGE],
        _totals(sums),
        _stored(search.captures),
        rows[PAGE - 1].place if len(rows) > PAGE else None,
        search.older,
        [*_pruned(search.captures), *_notes(search, names)],
    )


def every_row(question: RowQuestion) -> pl.DataFrame:
    """All rows that fit, in order, with the capture_id and the version of each. TooManyRows; otherwise as `find`."""
    captures = vintages_of(question)
    with read.naming_damage(_stored(captures)):
        search = _search(question, captures)
        number = search.rows.select(pl.len()).collect().item()
        if number > MOST_DOWNLOADED:
            raise TooManyRows(f"{number:,} rows fit, and a download has at most {MOST_DOWNLOADED:,}: narrow the search")
        return read.with_vintages(in_order(search.rows), search.captures).collect()


def _search(question: RowQuestion, captures: list[Capture]) -> _Search:
    found = _of_venue(question.venue, _of_symbol(question, captures))
    return replace(found, rows=found.rows.filter(issue_is_named(question.issue))) if question.issue else found


def _scanned(question: RowQuestion, captures: list[Capture]) -> pl.LazyFrame:
    """The rows of the vintages; of one that was asked for by its name NoSuchVintage, where they have been given up."""
    return read.of_captures(captures if question.capture else _stored(captures))


def _stored(captures: Iterable[Capture]) -> list[Capture]:
    """Those whose rows have not been given up."""
    return [capture for capture in captures if capture.pruned_at is None]


def _pruned(captures: Iterable[Capture]) -> Iterator[str]:
    names = [str(capture) for capture in captures if capture.pruned_at is not None]
    if names:
        yield f"retention has removed the rows of {listed(names)}"


def _of_symbol(question: RowQuestion, captures: list[Capture]) -> _Search:
    """The rows of a symbol, of all weeks; of the weeks that are searched otherwise, those whose symbol begins so, or all."""
    if question.symbol:
        exact = _scanned(question, captures).filter(symbol_is(question.symbol))
        if _is_any(exact):
            return _Search(captures, exact)
    captures, older = newest_weeks(captures, question.weeks)
    rows = _scanned(question, captures)
    if not question.symbol:
        return _Search(captures, rows, older)
    beginning = rows.filter(symbol_begins(question.symbol))
    return _Search(captures, beginning, older, (_Inexact("symbol", f"there is no symbol {question.symbol}"),))


def _of_venue(word: str, search: _Search) -> _Search:
    """Of those, the rows of an MPID or a CRD number; without one, of the venues whose name has the word in it."""
    if not word:
        return search
    exact = search.rows.filter(venue_is(word))
    if _is_any(exact):
        return replace(search, rows=exact)
    inexact = _Inexact("venue_name", f"no MPID or CRD number is {word}")
    return replace(search, rows=search.rows.filter(venue_is_named(word)), inexact=(*search.inexact, inexact))


def _is_any(rows: pl.LazyFrame) -> bool:
    """Whether there is a row: the newest files are read until there is."""
    return not rows.select("symbol").head(1).collect().is_empty()


def _sums(rows: pl.LazyFrame) -> pl.LazyFrame:
    partitions = pl.struct("week_ending", "tier").n_unique().alias("partitions")
    return rows.select(pl.len().alias("rows"), pl.sum("shares", "trades"), partitions)


def _totals(sums: pl.DataFrame) -> Totals:
    rows, shares, trades, partitions = sums.row(0)
    return Totals(rows, shares or Decimal(0), trades, partitions)


def _page(rows: pl.LazyFrame, place: Place | None) -> pl.LazyFrame:
    """The rows of a page, and the one behind it."""
    left = rows.filter(is_after(place)) if place else rows
    return in_order(left).head(PAGE + 1).select("week_ending", "tier", *SHOWN)


def _rows(page: pl.DataFrame, captures: Iterable[Capture]) -> list[Row]:
    vintages = {(capture.partition.week_ending, capture.partition.tier): capture for capture in captures}
    return [Row(vintages[week_ending, tier], *shown) for week_ending, tier, *shown in page.iter_rows()]


def _names(search: _Search) -> list[pl.LazyFrame]:
    """The values of the columns that the answer names, in their order."""
    return [search.rows.select(pl.col(one.column).unique().sort()) for one in search.inexact]


def _notes(search: _Search, names: Sequence[pl.DataFrame]) -> Iterator[str]:
    for inexact, found in zip(search.inexact, names, strict=True):
        if not found.is_empty():
            yield f"{inexact.told_of}: these are of {listed(found.to_series().to_list())}"
