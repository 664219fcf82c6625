"""The venues of a week by volume with the change on the week before, and one venue week by week; as of any instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import WEEK, PartitionKey, Tier, trading_days
from pipeline.models import Capture
from pipeline.readers import caveats
from pipeline.readers.chosen import Held, choose, held_of
from pipeline.readers.datasets.venues import VENUE_HISTORY, VENUES
from pipeline.readers.figures import Figured, figured, figures_of, newest_week
from pipeline.readers.first_vintages import IDENTITY, VENUE, FirstVintages
from pipeline.readers.keywords import VenuesAsked
from pipeline.readers.known import require_known_venue
from pipeline.readers.market import IS_POOL, restated_of, with_days
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, VenueKinds, question_of
from pipeline.readers.result import Result
from pipeline.readers.rows import of_venue
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import Table
from pipeline.readers.values import choice, count, invalid, ratio

BEFORE = {"share_before": pl.Float64, "rank_before": pl.Int64}


class Sort(StrEnum):
    """By what venues are ordered; the greatest first."""

    RANK = "rank"
    SHARES = "shares"
    SHARE_CHANGE_BP = "share_change_bp"
    RANK_CHANGE = "rank_change"
    AVERAGE_TRADE_SIZE = "average_trade_size"


class BoardAsked(VenuesAsked, total=False):
    """The venues of one week: how they are ordered, how many, and how large they are at least."""

    sort: str
    top: int | str
    min_share: float | str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The week and the one before: whether they can be compared, and if not, why."""

    compared_with: date
    comparable: bool
    comparable_because: str | None
    trading_days: int
    trading_days_before: int


@answering
def venues(**asked: Unpack[BoardAsked]) -> Result:
    """The venues of one week: the one asked for, or the newest in which all tiers asked for are captured."""
    question = newest_week(question_of(asked))
    if len(question.weeks.listed) > 1:
        raise invalid("week_ending", "venues are of one week: give one week_ending, or ask venue_history")
    sort = choice("sort", asked.get("sort") or Sort.RANK, Sort)
    top = count("top", asked["top"], least=1) if asked.get("top") is not None else None
    board = Leaderboard.of(question, Cut(top, sort, least_share(asked)))
    said = (sort, top, board.cut.least, *board.said())
    meta = meta_of(VENUES.name, question, board.now.chosen, board.comparison, said)
    order = (sort.value,) if sort is not Sort.RANK else ()
    table = Table(VENUES, board.rows, order=order, descending=order)
    return Result(VENUES, meta, caveats.of_rows(board.now.chosen), table)


def least_share(asked: Mapping[str, Any]) -> float:
    """The part of its kind that a venue has at least; 0 asks nothing."""
    return ratio("min_share", asked["min_share"]) if asked.get("min_share") is not None else 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Which venues are shown: those with a `least` share of their kind, and of each tier and kind the `top` of the order."""

    top: int | None = None
    by: Sort = Sort.RANK
    least: float = 0.0

    def of(self, board: pl.DataFrame) -> pl.DataFrame:
        """Those of a leaderboard. Of equal volumes, which share a rank, all are shown."""
        shown = board.filter(pl.col("share") >= self.least) if self.least else board
        if self.top is None:
            return shown
        if self.by is Sort.RANK:
            return shown.filter(pl.col("rank") <= self.top)
        ordered = shown.sort(self.by.value, descending=True, nulls_last=True)
        return ordered.group_by("scope", "venue_kind", maintain_order=True).head(self.top)


@dataclass(frozen=True)
class Leaderboard:
    """The venues of one week, beside those of the week before."""

    now: Figured
    cut: Cut
    held: Held | None = None

    @classmethod
    def of(cls, question: Question, cut: Cut | None = None) -> Leaderboard:
        """That of a question's one week. The vintages of both weeks are asked of the ledger at once."""
        held = _both_weeks(question)
        return cls(figured(question, held), cut or Cut(), held)

    @cached_property
    def before(self) -> Figured | None:
        """The week before, by the same selector; None where there is no week, or one capture is asked for by its name."""
        if not self.now.weeks or self.now.question.selector.kind is SelectorKind.CAPTURE:
            return None
        week, question = self.now.weeks[0] - WEEK, self.now.question
        earlier = replace(question, weeks=replace(question.weeks, listed=(week,)))
        found = choose(replace(earlier, over_all=True), self.held)  # what lacks is no error here
        return Figured(earlier, found, (week,), figures_of(earlier, [week], found, self.held))

    @cached_property
    def comparison(self) -> Comparison | None:
        """Whether the two weeks can be compared: where each has all tiers asked for, and the same kinds."""
        if self.before is None:
            return None
        week, earlier = self.now.weeks[0], self.before.weeks[0]
        why = self._why_not(week, self.before, earlier)
        return Comparison(earlier, why is None, why, trading_days(week), trading_days(earlier))

    def _why_not(self, week: date, before: Figured, earlier: date) -> str | None:
        if not self.now.is_captured(week):
            return f"not every tier of {week} is captured"
        if not before.is_captured(earlier):
            return f"not every tier of {earlier} is captured"
        same = _kinds(self.now.chosen.captures) == _kinds(before.chosen.captures)
        return None if same else f"{earlier} and {week} have not the same kinds of venues"

    def said(self) -> list[object]:
        """All that its rows follow from: both weeks, and the first vintages."""
        return [self.now.contents, self.before.contents if self.before else None, self.first.said()]

    @cached_property
    def first(self) -> FirstVintages:
        """The first vintages of the week."""
        return FirstVintages.of(self.now)

    def rows(self) -> pl.DataFrame:
        """The venues. ReadersError for a venue that was never seen."""
        now = _asked_for(self.now)
        require_known_venue(self.now.question, now)
        with_before = now.join(self._before(), on=IDENTITY, how="left")
        board = with_days(self.first.beside(with_before)).with_columns(
            pl.col("scope").alias("tier"),
            (pl.col("rank_before") - pl.col("rank").cast(pl.Int64)).alias("rank_change"),
            ((pl.col("share") - pl.col("share_before")) * 10_000).alias("share_change_bp"),
            IS_POOL.alias("is_pool"),
        )
        return self.cut.of(board)

    def _before(self) -> pl.DataFrame:
        """Share and rank of each venue in the week before; of none where it cannot be compared."""
        if self.before is None or self.comparison is None or not self.comparison.comparable:
            return pl.DataFrame(schema={**dict.fromkeys(IDENTITY, pl.String), **BEFORE})
        rank = pl.col("rank").cast(pl.Int64).alias("rank_before")
        return _venues(self.before).select(*IDENTITY, pl.col("share").alias("share_before"), rank)


def _both_weeks(question: Question) -> Held | None:
    """The vintages of the week and of the one before, of all tiers; None where there is no week, or a capture is named."""
    if not question.weeks.listed or question.selector.kind is SelectorKind.CAPTURE:
        return None
    [week] = question.weeks.listed
    return held_of([PartitionKey(one, tier) for one in (week - WEEK, week) for tier in Tier], question.selector)


def _venues(found: Figured) -> pl.DataFrame:
    """The venues of the scopes that are asked for."""
    return found.figures.venues().filter(pl.col("scope").is_in(found.scopes)).with_columns(VENUE)


def _asked_for(found: Figured) -> pl.DataFrame:
    """Of those the kind and the venue that are asked for."""
    question, venues_of = found.question, _venues(found)
    if question.venue_kind is not VenueKinds.ALL:
        venues_of = venues_of.filter(pl.col("venue_kind") == question.venue_kind.value)
    return venues_of.filter(*of_venue(question))


def _kinds(captures: Sequence[Capture]) -> set[tuple[str, str]]:
    """Which kinds of venues each tier has."""
    return {(one.partition.tier, kind) for one in captures for kind in one.venue_kinds}


@answering
def venue_history(**asked: Unpack[VenuesAsked]) -> Result:
    """A venue by week: give its mpid, crd or venue_name. `tier="ALL"` asks for figures over all tiers."""
    question = question_of(asked)
    if not question.venue.is_asked:
        raise invalid("mpid", "venue_history is of a venue: give mpid, crd or venue_name")
    found = figured(question)
    first = FirstVintages.of(found)
    meta = meta_of(VENUE_HISTORY.name, question, found.chosen, None, [*found.said(), first.said()])
    table = Table(VENUE_HISTORY, lambda: _history(found, first))
    return Result(VENUE_HISTORY, meta, caveats.of_rows(found.chosen), table)


def venue_weeks(**asked: Unpack[VenuesAsked]) -> pl.DataFrame:
    """Every venue by week, as `venue_history` has one."""
    found = figured(question_of(asked))
    return _history(found, FirstVintages.of(found)).select(VENUE_HISTORY.names).cast(VENUE_HISTORY.schema)


def _history(found: Figured, first: FirstVintages) -> pl.DataFrame:
    rows = _asked_for(found)
    require_known_venue(found.question, rows)
    return with_days(first.beside(rows)).with_columns(pl.col("scope").alias("tier"), restated_of(found))
