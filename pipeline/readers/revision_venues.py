"""The reliability of venues: how much a venue's volume moves after its first publication, by age, over the verified weeks.

A partition counts as in `revisions`; a venue counts in the weeks whose first vintage has it. The pool of small firms is no
venue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Unpack

import polars as pl

from pipeline.models import Capture
from pipeline.readers.datasets.revisions import REVISION_VENUE_TRIANGLE, REVISION_VENUES
from pipeline.readers.fields import SUM, Dataset
from pipeline.readers.figures import Figures
from pipeline.readers.first_vintages import VENUE
from pipeline.readers.market import IS_POOL
from pipeline.readers.measured import Pair, changes_of
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.questions import ALL, VenueKinds
from pipeline.readers.result import Result
from pipeline.readers.revision_profile import PERCENTILES, ProfileAsked, least_age
from pipeline.readers.revisions import (
    Cell,
    MeasureName,
    RevisionsAsked,
    State,
    Triangle,
    facts_of,
    question_and_triangle,
    said_of,
)
from pipeline.readers.rows import of_venue
from pipeline.readers.table import Table
from pipeline.readers.values import invalid
from pipeline.vintages.compare import MOVED

PLACE = ("week_ending", "tier")
IDENTITY = ("venue_kind", "mpid", "crd", "venue")
MEASURES = {
    MeasureName.GROSS_CHANGE_RATIO: pl.col("gross") / pl.col("before"),
    MeasureName.NET_CHANGE_RATIO: pl.col("net") / pl.col("before"),
    MeasureName.LARGEST_SHARE_MOVE_BP: pl.col("share_move") * 10_000,
}


class VenueRevisionsAsked(RevisionsAsked, total=False):
    """Of which partitions and venues, by which measure, at which ages."""

    mpid: str | Sequence[str]
    crd: str
    venue_name: str


class VenuesProfileAsked(VenueRevisionsAsked, ProfileAsked, total=False):
    """The same, and how long the partitions must have been watched."""


@answering
def revision_venues(**asked: Unpack[VenuesProfileAsked]) -> Result:
    """How much each venue's volume has moved since its first publication, by tier and age: quantiles over verified weeks."""
    return _answer(REVISION_VENUES, asked, least_age(asked), _profile)


@answering
def revision_venue_triangle(**asked: Unpack[VenueRevisionsAsked]) -> Result:
    """How much each venue's volume had moved since its first publication, in each verified week at each age."""
    return _answer(REVISION_VENUE_TRIANGLE, asked, 0, _cells)


def _answer(
    dataset: Dataset,
    asked: VenueRevisionsAsked,
    least: int,
    shown: Callable[[pl.DataFrame, pl.Expr], pl.DataFrame],
) -> Result:
    """What `shown` makes of the moves of the venues asked for, in partitions that were seen at an age of `least` days."""
    question, triangle, measure, kinds = question_and_triangle(asked)
    if measure not in MEASURES:
        named = ", ".join(one.value for one in MEASURES)
        raise invalid("measure", f"{measure.value} is of a market, not of a venue: ask for {named}")
    triangle = triangle.verified_through(least)
    wanted = [*of_venue(question), ~IS_POOL]
    if question.venue_kind is not VenueKinds.ALL:
        wanted.append(pl.col("venue_kind") == question.venue_kind.value)
    said = [said_of(triangle, kinds), measure.value, str(question.venue)]
    meta = head(dataset.name, facts_of(triangle, measure), said)
    return Result(dataset, meta, (), Table(dataset, lambda: shown(_moves(triangle, wanted), MEASURES[measure])))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A partition at an age at which it is verified: its first vintage, and the one of that age."""

    cell: Cell
    first: Capture
    then: Capture


def _moves(triangle: Triangle, wanted: Sequence[pl.Expr]) -> pl.DataFrame:
    """Of each venue in each verified partition at each age: shares before, gross and net change, move of its share."""
    seen = [
        _Seen(cell, cell.chain.first, cell.chain.at(cell.age) or cell.chain.first)
        for cell in triangle.cells()
        if cell.state is State.VERIFIED
    ]
    ages = pl.DataFrame(
        [(*one.cell.chain.key, one.cell.age, one.then.pk) for one in seen],
        schema={"week_ending": pl.Date, "tier": pl.String, "age_days": pl.Int64, "then": pl.Int64},
        orient="row",
    )
    firsts = _first_volumes([chain.first for chain in {one.cell.chain.key: one.cell.chain for one in seen}.values()])
    held, changes = ages.join(firsts, on=PLACE), _changes(seen)
    came = ages.join(changes, on="then").join(held, on=["then", *IDENTITY], how="anti")
    moved = pl.concat([held.join(changes, on=["then", *IDENTITY], how="left"), came], how="diagonal")
    before, then = pl.col("before"), pl.col("before") + pl.col("net")
    kind = ["then", "age_days", "venue_kind"]
    volume = then.sum().over(kind)
    share_move = pl.when(volume > 0).then(
        then / volume - before / before.sum().over(kind)
    )  # of nothing there is no share
    counted = moved.with_columns(pl.col("before", "gross", "net").fill_null(0.0))
    return counted.with_columns(share_move.alias("share_move")).filter(before > 0, *wanted)


def _first_volumes(captures: Sequence[Capture]) -> pl.DataFrame:
    """The volume of each venue in the first vintages of partitions."""
    by_week: dict[date, tuple[Capture, ...]] = {}
    for one in sorted(captures, key=lambda one: one.partition.key):
        by_week[one.partition.week_ending] = (*by_week.get(one.partition.week_ending, ()), one)
    venues = Figures(by_week).venues().filter(pl.col("scope") != ALL)
    return venues.select(
        "week_ending",
        pl.col("scope").alias("tier"),
        *(name for name in IDENTITY if name != "venue"),
        "venue_name",
        VENUE,
        pl.col("shares").alias("shares_first_published"),
        pl.col("shares").cast(pl.Float64).alias("before"),
    )


def _changes(seen: Sequence[_Seen]) -> pl.DataFrame:
    """What each venue moved between the first vintage and a later one."""
    pairs = {one.then.pk: one for one in seen if one.then.pk != one.first.pk}
    schema = {"then": pl.Int64, **dict.fromkeys(IDENTITY, pl.String), "gross": pl.Float64, "net": pl.Float64}
    net = pl.col("after_shares").cast(SUM).fill_null(0).sum() - pl.col("before_shares").cast(SUM).fill_null(0).sum()
    frames = [
        changes_of(Pair(one.first, one.then))
        .rows.rename({"firm": "venue"})
        .group_by(IDENTITY)
        .agg(MOVED.cast(SUM).sum().cast(pl.Float64).alias("gross"), net.cast(pl.Float64).alias("net"))
        .select(pl.lit(pk, pl.Int64).alias("then"), *IDENTITY, "gross", "net")
        for pk, one in pairs.items()
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _cells(moves: pl.DataFrame, measure: pl.Expr) -> pl.DataFrame:
    """Each venue in each week at each age."""
    return moves.with_columns(measure.alias("value"))


def _profile(moves: pl.DataFrame, measure: pl.Expr) -> pl.DataFrame:
    """The quantiles of venues by tier and age."""
    sizes = measure.abs()
    return (
        moves.sort("week_ending")
        .group_by("tier", *IDENTITY, "age_days")
        .agg(
            pl.col("venue_name").last(),
            pl.len().cast(pl.Int64).alias("weeks_verified"),
            (pl.col("gross") > 0).mean().alias("revised_ratio"),
            *(sizes.quantile(one / 100, "equiprobable").alias(f"p{one}") for one in PERCENTILES),
            sizes.max().alias("max"),
            measure.mean().alias("mean"),
        )
    )
