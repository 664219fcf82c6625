"""Securities found by a word: a symbol, another spelling of it, the beginning of one, or a part of a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypedDict, Unpack

import polars as pl

from pipeline.finra.calendar import Tier
from pipeline.models import Capture
from pipeline.readers.chosen import Chosen
from pipeline.readers.datasets.symbols import SYMBOLS
from pipeline.readers.known import newest_first, plain, plain_spelling
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Result
from pipeline.readers.table import Table
from pipeline.readers.values import choice, count
from pipeline.vintages import read

SECURITY = ("symbol", "issue_name")
WEEKS_SEARCHED = 13  # for a word; an exact symbol is searched in all weeks
MOST = 1000


class Spelling(StrEnum):
    """How a security matched, the nearest match first."""

    EXACT = "EXACT"
    OTHER = "OTHER"
    PREFIX = "PREFIX"
    NAME = "NAME"
    ANY = "ANY"


class ChangedTier(StrEnum):
    """Whether a security was in several tiers in the searched weeks."""

    YES = "true"
    NO = "false"


class SymbolsAsked(TypedDict, total=False):
    """Filters of securities: a word, whether the tier changed, and the most to return."""

    q: str
    changed_tier: str
    top: int | str


@answering
def symbols(**asked: Unpack[SymbolsAsked]) -> Result:
    """The securities that match a word; without one, those of the newest weeks."""
    word = (asked.get("q") or "").strip()
    most = count("top", asked.get("top", MOST), least=1)
    moved = (
        choice("changed_tier", asked["changed_tier"], ChangedTier) if asked.get("changed_tier") is not None else None
    )
    captures = newest_first()
    meta = meta_of(SYMBOLS.name, question_of({}), Chosen(tuple(captures), ()), None, (word, most, moved))
    empty = f"no security of the last {WEEKS_SEARCHED} weeks is called {word!r}"
    wanted = [] if moved is None else [pl.col("tiers").str.contains(",", literal=True) == (moved is ChangedTier.YES)]
    table = Table(SYMBOLS, lambda: _found(word, captures).filter(*wanted).head(most), empty, ("relevance",))
    return Result(SYMBOLS, meta, (), table)


def _found(word: str, captures: list[Capture]) -> pl.DataFrame:
    """The securities, those found by their symbol first."""
    if not captures:
        return SYMBOLS.schema.to_frame()
    with reading(captures):
        wide = _newest(_Newest(tuple(captures[: WEEKS_SEARCHED * len(Tier)]))).filter(_fits(word))
        exact = _securities(captures if word else [], pl.col("symbol") == word)
    found = pl.concat([exact, wide.join(exact, on=SECURITY, how="anti")]).with_columns(_spelling(word))
    place = pl.col("spelling").replace_strict({one.value: place for place, one in enumerate(Spelling, 1)})
    return found.with_columns(place.cast(pl.Int64).alias("relevance")).sort("relevance", *SECURITY)


@dataclass(frozen=True, eq=False)
class _Newest:
    """The captures of the newest weeks, equal by their contents."""

    captures: tuple[Capture, ...]

    @property
    def _said(self) -> tuple[tuple[str, str], ...]:
        return tuple((one.capture_id, one.content_hash) for one in self.captures)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Newest) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)


@lru_cache(1)
def _newest(weeks: _Newest) -> pl.DataFrame:
    """The securities of the newest weeks, found once after each capture: the rows are two hundred times as many."""
    return _securities(weeks.captures, pl.lit(value=True))


def _fits(word: str) -> pl.Expr:
    """Whether a security matches a word."""
    if not word:
        return pl.lit(value=True)
    symbol, bare = plain_spelling(pl.col("symbol")), plain(word)
    name = pl.col("issue_name").str.to_lowercase().str.contains(word.lower(), literal=True)
    return symbol.str.starts_with(bare) | name if bare else name


def _securities(captures: Sequence[Capture], fits: pl.Expr) -> pl.DataFrame:
    found = read.of_captures(captures).filter(fits).select(*SECURITY, "week_ending", "tier").unique()
    weeks = pl.col("week_ending").min().alias("first_week"), pl.col("week_ending").max().alias("last_week")
    tiers = pl.col("tier").unique().sort().str.join(",").alias("tiers")
    blank = pl.lit("").alias("spelling"), pl.lit(0, pl.Int64).alias("relevance")
    return found.group_by(SECURITY).agg(*weeks, tiers).with_columns(*blank).select(SYMBOLS.names).collect()


def _spelling(word: str) -> pl.Expr:
    symbol, bare = plain_spelling(pl.col("symbol")), plain(word)
    if not word:
        return pl.lit(Spelling.ANY.value).alias("spelling")
    return (
        pl.when(pl.col("symbol") == word)
        .then(pl.lit(Spelling.EXACT.value))
        .when(symbol == bare)
        .then(pl.lit(Spelling.OTHER.value))
        .when(symbol.str.starts_with(bare) if bare else pl.lit(value=False))
        .then(pl.lit(Spelling.PREFIX.value))
        .otherwise(pl.lit(Spelling.NAME.value))
        .alias("spelling")
    )
