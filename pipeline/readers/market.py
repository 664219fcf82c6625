"""The market by week, tier and kind: totals, the ATSs' part, concentration, as of any instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import polars as pl

from pipeline.finra.calendar import MONDAY_TO_FRIDAY, trading_days
from pipeline.finra.rows import DE_MINIMIS
from pipeline.readers import caveats
from pipeline.readers.datasets.market import MARKET
from pipeline.readers.figures import Figured, figured
from pipeline.readers.keywords import KindsAsked
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import ALL, VenueKinds, question_of
from pipeline.readers.restated import restated_by
from pipeline.readers.result import Result
from pipeline.readers.table import Table

TOP = 5
WITHIN = ("week_ending", "scope", "family")
IS_POOL = (pl.col("venue_name") == DE_MINIMIS) & (pl.col("mpid") == "")


@answering
def market(**asked: Unpack[KindsAsked]) -> Result:
    """Volume and concentration by week: of each kind and of both, or of the kind asked for. `tier="ALL"`: over all tiers."""
    found = figured(question_of(asked))
    families = (
        [kind.value for kind in VenueKinds] if asked.get("venue_kind") is None else [found.question.venue_kind.value]
    )
    meta = meta_of(MARKET.name, found.question, found.chosen, None, [families, *found.said()])
    return Result(MARKET, meta, caveats.of_rows(found.chosen), Table(MARKET, lambda: _rows(found, families)))


def _rows(found: Figured, families: Sequence[str]) -> pl.DataFrame:
    markets = found.figures.markets().filter(pl.col("scope").is_in(found.scopes))
    named = markets.join(_top(found.figures.venues()), on=WITHIN, how="left").join(
        _ats_ratio(markets), on=["week_ending", "scope"], how="left"
    )
    shown = named.filter(pl.col("family").is_in(families))
    shares, trades = pl.col("shares").cast(pl.Float64), pl.col("trades")
    return with_days(shown).with_columns(
        pl.col("scope").alias("tier"),
        pl.col("family").alias("venue_kind"),
        pl.when(trades > 0).then(shares / trades).alias("average_trade_size"),
        one_over("hhi_high").alias("effective_venues_low"),
        one_over("hhi_low").alias("effective_venues_high"),
        restated_of(found),
    )


def one_over(column: str) -> pl.Expr:
    """The effective number of venues of a concentration (1 / HHI); null where it is zero."""
    return pl.when(pl.col(column) > 0).then(1 / pl.col(column))


def with_days(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the Monday, the trading days, and the volume of a day."""
    weeks = frame["week_ending"].unique().to_list()
    days = pl.DataFrame(
        {"week_ending": weeks, "trading_days": [trading_days(week) for week in weeks]},
        schema={"week_ending": pl.Date, "trading_days": pl.Int64},
    )
    return frame.join(days, on="week_ending", how="left").with_columns(
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        (pl.col("shares").cast(pl.Float64) / pl.col("trading_days")).alias("shares_per_trading_day"),
    )


def restated_of(found: Figured) -> pl.Expr:
    """Whether a tier of a figure's week, or the figure's own tier, was restated."""
    moved = restated_by(found.captures)
    keys = [one.partition.key for one in found.captures if one.partition_id in moved]
    places = {f"{key.week_ending}|{key.tier}" for key in keys} | {f"{key.week_ending}|{ALL}" for key in keys}
    place = pl.concat_str(pl.col("week_ending").cast(pl.String), pl.col("scope"), separator="|")
    return place.is_in(sorted(places)).alias("restated")


def _top(venues: pl.DataFrame) -> pl.DataFrame:
    """The part of the largest venues in each scope and kind, and over both kinds."""
    of_kinds = venues.with_columns(pl.col("venue_kind").alias("family"), IS_POOL.alias("pool"))
    both = of_kinds.filter(pl.col("rank_of_all").is_not_null()).with_columns(pl.lit(ALL).alias("family"))
    shares = pl.col("shares").cast(pl.Float64)
    named = shares.filter(~pl.col("pool")).top_k(TOP).sum()
    ratio = pl.when(shares.sum() > 0).then(named / shares.sum()).alias("top5_ratio")
    return pl.concat([of_kinds, both]).group_by(WITHIN).agg(ratio)


def _ats_ratio(markets: pl.DataFrame) -> pl.DataFrame:
    """The ATSs' part of each scope that has both kinds."""
    shares = pl.col("shares").cast(pl.Float64)
    ats, both = shares.filter(pl.col("family") == "ATS").sum(), shares.filter(pl.col("family") == ALL).sum()
    return markets.group_by("week_ending", "scope").agg(pl.when(both > 0).then(ats / both).alias("ats_ratio"))
