"""Rows found by parts of names, in the order in which a person reads them, with the sums of all that were found.

Unlike `rows`, which are walked through in the order of their files, they are sorted: what is read grows with what is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.rows import FIRM
from pipeline.readers import caveats
from pipeline.readers.chosen import Chosen, choose
from pipeline.readers.datasets.rows import ROW_SEARCH
from pipeline.readers.fields import SUM
from pipeline.readers.keywords import Asked
from pipeline.readers.known import require_known
from pipeline.readers.meta import Caveat, meta_of
from pipeline.readers.orders import Order
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Page, Place, Result
from pipeline.readers.rows import conditions, shown
from pipeline.readers.values import choice
from pipeline.vintages import read

LAST = chr(0x10FFFF)  # no text that begins with a word sorts behind the word and this character


class RowOrder(StrEnum):
    """Newest: the newest week first, then tier and symbol, of a symbol the row of the most shares; or the most of all."""

    NEWEST = "newest"
    SHARES = "shares"


BEGINNING = {RowOrder.NEWEST: ("week_ending", "tier", "symbol", "shares"), RowOrder.SHARES: ("shares",)}


class RowSearchAsked(Asked, total=False):
    """Which rows, also by how a symbol begins, or by parts of names."""

    symbol_prefix: str
    issue_contains: str
    venue_contains: str
    sort: str


@dataclass(frozen=True, slots=True)
class Sums:
    """All that was found, on a page or not: how many rows, their sums, how many partitions, symbols and venues have one."""

    rows: int = 0
    shares: Decimal = Decimal(0)
    trades: int = 0
    partitions: int = 0
    symbols: int = 0
    venues: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of names, each empty where it is not asked for. Those of names are in capitals or not."""

    symbol_prefix: str
    issue_contains: str
    venue_contains: str

    @classmethod
    def of(cls, asked: RowSearchAsked) -> Parts:
        """Those that are asked for."""
        return cls(
            asked.get("symbol_prefix") or "", asked.get("issue_contains") or "", asked.get("venue_contains") or ""
        )

    def conditions(self) -> Iterator[pl.Expr]:
        """What a row has to be."""
        if self.symbol_prefix:
            yield begins("symbol", self.symbol_prefix)
        if self.issue_contains:
            yield contains("issue_name", self.issue_contains)
        if self.venue_contains:
            yield contains("venue_name", self.venue_contains)


@answering
def row_search(**asked: Unpack[RowSearchAsked]) -> Result:
    """Rows found by parts of names, sorted, with the sums of all of them. ReadersError, now or when they are read."""
    question = question_of(asked)
    chosen = choose(question)
    return _answer(Found(question, chosen, Parts.of(asked), _order(asked)), caveats.of_rows(chosen))


def narrowed(answer: Result, **asked: Unpack[RowSearchAsked]) -> Result:
    """`row_search` as it is asked, among the rows of an answer that has all of these: a symbol's are read once.

    What is asked differs from the question of the answer in words only: its weeks, tiers and vintages are the same. A
    symbol or a venue that none of the rows has is no error.
    """
    wider = answer.rows
    if not isinstance(wider, Found):
        raise TypeError(f"{answer.dataset.name} is no answer to row_search")
    found = Found(question_of(asked), wider.chosen, Parts.of(asked), _order(asked), wider)
    return _answer(found, answer.warnings)


def _order(asked: RowSearchAsked) -> RowOrder:
    return choice("sort", asked.get("sort") or RowOrder.NEWEST, RowOrder)


def _answer(found: Found, warnings: tuple[Caveat, ...]) -> Result:
    meta = meta_of(ROW_SEARCH.name, found.question, found.chosen, None, (found.parts, found.order))
    return Result(ROW_SEARCH, meta, warnings, found, summing=found.sums)


def begins(column: str, word: str) -> pl.Expr:
    """A text that begins so, case counts. A range, since a prefix would not let row groups be passed over."""
    return (pl.col(column) >= word) & (pl.col(column) < word + LAST)


def contains(column: str, word: str) -> pl.Expr:
    """A text that has the word in it, in capitals or not."""
    return pl.col(column).str.to_lowercase().str.contains(pl.lit(word).str.to_lowercase(), literal=True)


@dataclass(frozen=True)
class Found:
    """The rows of some vintages that are looked for, and the order in which they are given.

    `wider` has all of them, where their files need not be read for them again.
    """

    question: Question
    chosen: Chosen
    parts: Parts
    order: RowOrder
    wider: Found | None = None

    @cached_property
    def sorting(self) -> Order:
        """The order, in which no two rows have one place."""
        columns = tuple(dict.fromkeys((*BEGINNING[self.order], *ROW_SEARCH.key)))
        return Order(ROW_SEARCH.schema, columns, ("week_ending", "shares"))

    @cached_property
    def conditions(self) -> list[pl.Expr]:
        """What a row has to be."""
        return [*conditions(self.question), *self.parts.conditions()]

    @cached_property
    def wanted(self) -> pl.LazyFrame:
        """The rows, in the order of their files. Those of a symbol are few, and read once."""
        rows = self.wider.wanted if self.wider else read.of_captures(list(self.chosen.captures))
        found = rows.filter(*self.conditions)
        return found.collect().lazy() if self.question.symbols else found

    def collect(self) -> pl.DataFrame:
        """All of them, sorted. ReadersError for a symbol or a venue that was never seen."""
        found = self._sorted(None, None)
        self._check_known(found)
        return found

    def batches(self) -> Iterator[pl.DataFrame]:
        """All at once."""
        yield self.collect()

    @property
    def knows_total(self) -> bool:
        """Rows are counted when they have been read."""
        return False

    def total(self) -> int:
        """How many there are."""
        return self.sums().rows

    def sums(self) -> Sums:
        """How many there are, and their sums."""
        return self._sums

    @cached_property
    def _sums(self) -> Sums:
        rows = pl.len().alias("rows"), pl.col("shares").cast(SUM).sum(), pl.col("trades").sum()
        places = [pl.struct("week_ending", "tier"), pl.col("symbol"), pl.struct("mpid", "crd", FIRM.alias("firm"))]
        with reading(self.chosen.captures):
            found = self.wanted.select(*rows, *(one.n_unique().alias(str(at)) for at, one in enumerate(places)))
            return Sums(*found.collect().row(0))

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of them, behind a place."""
        found = self._sorted(after, limit + 1)
        if after is None and found.height <= limit:
            self._check_known(found)
        shown_here = found.head(limit)
        return Page(shown_here, self.sorting.place(shown_here) if found.height > limit else None)

    def _check_known(self, found: pl.DataFrame) -> None:
        """ReadersError for a symbol or a venue that was never seen; among the rows of another answer some are not there."""
        if self.wider is None:
            require_known(self.question, found)

    def why_empty(self) -> str | None:
        """Why there are none."""
        return "nothing of these weeks and tiers is captured" if not self.chosen.captures else "no row fits"

    def _sorted(self, after: Place | None, most: int | None) -> pl.DataFrame:
        behind = [self.sorting.is_behind(after)] if after is not None else []
        with reading(self.chosen.captures):
            found = self.sorting.sorted(self.wanted.filter(*behind))
            return shown(found if most is None else found.head(most), list(self.chosen.captures)).collect()
