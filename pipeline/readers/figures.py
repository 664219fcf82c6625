"""A week's venues and markets as of any instant: from the snapshot of just these captures, or computed from their files.

Equal to what was, or would have been, computed then.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import AnalyticsSnapshot, Capture
from pipeline.readers.chosen import Chosen, Held, choose, held_of, newest_weeks_first
from pipeline.readers.questions import ALL, Question, Weeks
from pipeline.readers.reading import reading
from pipeline.readers.restated import restated_by
from pipeline.readers.selectors import SelectorKind
from pipeline.weeks import analytics, results
from pipeline.weeks.concentration import MARKETS, VENUES

# Weeks whose figures a process keeps, some 0.2 MB each. Of more at once those of snapshots are read anew.
REMEMBERED = 64


@dataclass(frozen=True)
class Figures:
    """Weeks, each with the captures of all its tiers."""

    inputs: Mapping[date, tuple[Capture, ...]]

    @cached_property
    def snapshots(self) -> Mapping[date, AnalyticsSnapshot]:
        """Of each week its snapshot, where there is one; asked of the ledger when figures are read."""
        return analytics.snapshots_of(self.inputs)

    def stored(self, week: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The venues and the markets of a week's snapshot. Those of all weeks are read at once."""
        venues, markets = self._by_week
        return venues.get((week,), VENUES.to_frame()), markets.get((week,), MARKETS.to_frame())

    @cached_property
    def _by_week(self) -> tuple[dict[tuple[object, ...], pl.DataFrame], dict[tuple[object, ...], pl.DataFrame]]:
        found = results.venues_of(self._stored), results.markets_of(self._stored)
        venues, markets = (one.partition_by("week_ending", as_dict=True, include_key=False) for one in found)
        return venues, markets

    def venues(self) -> pl.DataFrame:
        """The venues of all weeks: the week, and the columns of VENUES."""
        if len(self.inputs) > REMEMBERED:
            return pl.concat([results.venues_of(self._stored), *self._remembered(0, VENUES, self._others())])
        return pl.concat([results.venues_of([]), *self._remembered(0, VENUES, self.inputs)])

    def markets(self) -> pl.DataFrame:
        """The markets of all weeks: the week, and the columns of MARKETS."""
        if len(self.inputs) > REMEMBERED:
            return pl.concat([results.markets_of(self._stored), *self._remembered(1, MARKETS, self._others())])
        return pl.concat([results.markets_of([]), *self._remembered(1, MARKETS, self.inputs)])

    @property
    def _stored(self) -> list[AnalyticsSnapshot]:
        return list(self.snapshots.values())

    def _others(self) -> list[date]:
        """The weeks without a snapshot of their captures."""
        return [week for week in self.inputs if week not in self.snapshots]

    def _remembered(self, which: int, schema: pl.Schema, weeks: Iterable[date]) -> Iterator[pl.DataFrame]:
        """The frames of some weeks that have captures, which a process reads or computes once."""
        for week in weeks:
            if captures := self.inputs[week]:
                yield _with_week(week, _of_week(_Inputs(captures, weakref.proxy(self)))[which], schema)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The captures of a week, the same where their contents are. What is remembered by them holds no other week's."""

    captures: tuple[Capture, ...]
    figures: Figures

    @property
    def _said(self) -> tuple[tuple[str, str], ...]:
        return tuple((one.capture_id, one.content_hash) for one in self.captures)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inputs) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)


@lru_cache(REMEMBERED)
def _of_week(inputs: _Inputs) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The venues and the markets of a week: those of its snapshot, or computed from its files. ReadersError."""
    week = inputs.captures[0].partition.week_ending
    if week in inputs.figures.snapshots:
        return inputs.figures.stored(week)
    with reading(inputs.captures):
        figures = analytics.figures_from(inputs.captures)
    return figures.venues, figures.markets


def _with_week(week: date, frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(pl.lit(week).alias("week_ending"), *schema.names())


@dataclass(frozen=True)
class Figured:
    """A question of figures: what is chosen for it, the weeks, and their figures."""

    question: Question
    chosen: Chosen
    weeks: tuple[date, ...]
    figures: Figures

    @property
    def scopes(self) -> list[str]:
        """The scopes that are asked for."""
        return [ALL] if self.question.over_all else [tier.value for tier in self.question.tiers]

    @property
    def captures(self) -> list[Capture]:
        """Those of all tiers, from which its figures are."""
        return [one for of_week in self.figures.inputs.values() for one in of_week]

    @property
    def contents(self) -> list[tuple[str, str]]:
        """All that its figures follow from beside the question."""
        return [(one.capture_id, one.content_hash) for one in self.captures]

    def said(self) -> list[object]:
        """The same with which partitions were restated, where a column says that."""
        return [self.contents, sorted(restated_by(self.captures))]

    def is_captured(self, week: date) -> bool:
        """Whether every tier that is asked for has a vintage in a week."""
        tiers = {capture.partition.tier for capture in self.chosen.captures if capture.partition.week_ending == week}
        return tiers >= {tier.value for tier in self.question.tiers}


def figured(question: Question, held: Held | None = None) -> Figured:
    """The figures of a question's weeks. `held` and errors as `choose`."""
    chosen = choose(question, held)
    weeks = tuple(sorted({capture.partition.week_ending for capture in chosen.captures}))
    return Figured(question, chosen, weeks, figures_of(question, weeks, chosen, held))


def figures_of(question: Question, weeks: Collection[date], chosen: Chosen, held: Held | None = None) -> Figures:
    """The figures of some weeks, by the selector of a question: all tiers of each. `chosen` is what it chose already."""
    captures = list(chosen.captures)
    if question.selector.kind is not SelectorKind.CAPTURE:
        looked_for = {capture.partition.key for capture in captures} | {lacking.key for lacking in chosen.missing}
        others = {PartitionKey(week, tier) for week in weeks for tier in Tier} - looked_for
        if held is None:
            held = held_of(others, question.selector) if others else {}
        captures += [held[key] for key in others if key in held]
    return Figures(_by_week(weeks, captures))


def of_captures(week: date, captures: Sequence[Capture]) -> Figures:
    """The figures that some captures of a week have."""
    return Figures({week: tuple(captures)})


def _by_week(weeks: Collection[date], captures: Iterable[Capture]) -> Mapping[date, tuple[Capture, ...]]:
    inputs: dict[date, tuple[Capture, ...]] = dict.fromkeys(weeks, ())
    for capture in sorted(captures, key=lambda capture: capture.partition.key):
        if capture.pruned_at is None:
            inputs[capture.partition.week_ending] += (capture,)
    return inputs


def newest_week(question: Question) -> Question:
    """The question with one week: the one that it names, or the newest in which all tiers asked for have a vintage."""
    if question.weeks.listed or question.selector.kind is SelectorKind.CAPTURE:
        return question
    held: dict[date, set[str]] = {}
    wanted = {tier.value for tier in question.tiers}
    for captures in _newest_weeks_first(question):
        for capture in captures:
            held.setdefault(capture.partition.week_ending, set()).add(capture.partition.tier)
        if any(tiers >= wanted for tiers in held.values()):
            break
    weeks = [week for week, tiers in held.items() if tiers >= wanted] or list(held)
    return replace(question, weeks=replace(question.weeks, listed=(max(weeks),))) if weeks else question


def _newest_weeks_first(question: Question) -> Iterator[Iterable[Capture]]:
    """The vintages whose rows are kept: those of the weeks that a question names; without weeks, of the newest few first."""
    if question.weeks not in (Weeks(), Weeks(every=True)):
        yield choose(question).captures
        return
    for captures in newest_weeks_first(question):
        yield [capture for capture in captures if capture.pruned_at is None]
