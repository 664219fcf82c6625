"""The venues of a week by volume with the change on the week before, and one venue week by week; as of any instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import WEEK, PartitionKey, Tier, trading_days
from pipeline.models import Capture, CaptureKind
from pipeline.readers import caveats
from pipeline.readers.chosen import Held, choose, held_of
from pipeline.readers.datasets_of_figures import VENUE_HISTORY, VENUES
from pipeline.readers.figures import Figured, figured, figures_of, newest_week, of_captures
from pipeline.readers.known import require_known_venue
from pipeline.readers.market import IS_POOL, restated_of, with_days
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, VenueKinds, VenuesAsked, choice, count, invalid, question_of
from pipeline.readers.result import Result
from pipeline.readers.rows import of_venue
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import Table

IDENTITY = ("scope", "venue_kind", "mpid", "crd", "venue")  # the name of an ATS does not tell it apart
VENUE = pl.when(pl.col("mpid") == "").then("venue_name").otherwise(pl.lit("")).alias("venue")
BEFORE = {"share_before": pl.Float64, "rank_before": pl.Int64}
FIRST = {"share_first_published": pl.Float64}


class Sort(StrEnum):
    """By what venues are ordered; the greatest first."""

    RANK = "rank"
    SHARES = "shares"
    SHARE_CHANGE_BP = "share_change_bp"
    RANK_CHANGE = "rank_change"
    AVERAGE_TRADE_SIZE = "average_trade_size"


class BoardAsked(VenuesAsked, total=False):
    """The venues of one week: how they are ordered, and how many."""

    sort: str
    top: int | str


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
    board = Leaderboard.of(question, top)
    meta = meta_of(VENUES.name, question, board.now.chosen, board.comparison, (sort, top, *board.said()))
    order = (sort.value,) if sort is not Sort.RANK else ()
    table = Table(VENUES, board.rows, order=order, descending=order)
    return Result(VENUES, meta, caveats.of_rows(board.now.chosen), table)


@dataclass(frozen=True)
class Leaderboard:
    """The venues of one week, beside those of the week before; the `top` of each tier and kind, or all."""

    now: Figured
    top: int | None
    held: Held | None = None

    @classmethod
    def of(cls, question: Question, top: int | None = None) -> Leaderboard:
        """That of a question's one week. The vintages of both weeks are asked of the ledger at once."""
        held = _both_weeks(question)
        return cls(figured(question, held), top, held)

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
        first = [one.capture_id for one in self.first]
        return [self.now.contents, self.before.contents if self.before else None, first]

    @cached_property
    def first(self) -> list[First]:
        """The first vintages of the week."""
        return first_vintages(self.now)

    def rows(self) -> pl.DataFrame:
        """The venues. ReadersError for a venue that was never seen."""
        now = _asked_for(self.now)
        require_known_venue(self.now.question, now)
        shown = now if self.top is None else now.filter(pl.col("rank") <= self.top)
        with_before = shown.join(self._before(), on=IDENTITY, how="left").join(self._first(), on=IDENTITY, how="left")
        return with_days(with_before).with_columns(
            pl.col("scope").alias("tier"),
            (pl.col("rank_before") - pl.col("rank").cast(pl.Int64)).alias("rank_change"),
            ((pl.col("share") - pl.col("share_before")) * 10_000).alias("share_change_bp"),
            IS_POOL.alias("is_pool"),
        )

    def _before(self) -> pl.DataFrame:
        """Share and rank of each venue in the week before; of none where it cannot be compared."""
        if self.before is None or self.comparison is None or not self.comparison.comparable:
            return pl.DataFrame(schema={**dict.fromkeys(IDENTITY, pl.String), **BEFORE})
        rank = pl.col("rank").cast(pl.Int64).alias("rank_before")
        return _venues(self.before).select(*IDENTITY, pl.col("share").alias("share_before"), rank)

    def _first(self) -> pl.DataFrame:
        """The share of each venue in the first vintages of the week."""
        captures = Capture.objects.filter(pk__in=[one.pk for one in self.first]).select_related("partition")
        if not captures:
            return pl.DataFrame(schema={**dict.fromkeys(IDENTITY, pl.String), **FIRST})
        found = of_captures(self.now.weeks[0], sorted(captures, key=_tier)).venues().with_columns(VENUE)
        return found.select(*IDENTITY, pl.col("share").alias("share_first_published"))


def _both_weeks(question: Question) -> Held | None:
    """The vintages of the week and of the one before, of all tiers; None where there is no week, or a capture is named."""
    if not question.weeks.listed or question.selector.kind is SelectorKind.CAPTURE:
        return None
    [week] = question.weeks.listed
    return held_of([PartitionKey(one, tier) for one in (week - WEEK, week) for tier in Tier], question.selector)


@dataclass(frozen=True, slots=True)
class First:
    """The first vintage of a partition, as far as it is told without reading it."""

    pk: int
    capture_id: str
    is_kept: bool


def first_vintages(found: Figured) -> list[First]:
    """The first vintage of each tier that stood when the tier's vintage was the newest; none where one is not kept."""
    held = (
        {one.partition_id: one.version for one in found.figures.inputs.get(found.weeks[0], ())} if found.weeks else {}
    )
    every = Capture.objects.normalized().filter(partition__in=held).exclude(kind=CaptureKind.ANNULMENT)
    told = every.order_by("-version").values_list(
        "partition", "version", "annulled_by__version", "pk", "capture_id", "pruned_at"
    )
    first: dict[int, First] = {}
    for partition, version, annulment, pk, capture_id, pruned_at in told:
        if version <= held[partition] and not (annulment and annulment <= held[partition]):
            first[partition] = First(pk, capture_id, pruned_at is None)
    of_tiers = sorted(first.values(), key=lambda one: one.capture_id)
    return of_tiers if all(one.is_kept for one in of_tiers) else []


def _tier(capture: Capture) -> str:
    return capture.partition.tier


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
    meta = meta_of(VENUE_HISTORY.name, question, found.chosen, None, found.said())
    return Result(VENUE_HISTORY, meta, caveats.of_rows(found.chosen), Table(VENUE_HISTORY, lambda: _history(found)))


def venue_weeks(**asked: Unpack[VenuesAsked]) -> pl.DataFrame:
    """Every venue by week, as `venue_history` has one."""
    return _history(figured(question_of(asked))).select(VENUE_HISTORY.names).cast(VENUE_HISTORY.schema)


def _history(found: Figured) -> pl.DataFrame:
    rows = _asked_for(found)
    require_known_venue(found.question, rows)
    return with_days(rows).with_columns(pl.col("scope").alias("tier"), restated_of(found))
