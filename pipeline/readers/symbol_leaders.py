"""The securities of one week by volume, with the cumulative part of the largest; as of any instant."""

from __future__ import annotations

from contextlib import suppress
from typing import Unpack

import polars as pl

from pipeline.finra.calendar import MONDAY_TO_FRIDAY
from pipeline.models import AnalyticsSnapshot
from pipeline.readers import caveats
from pipeline.readers.datasets.symbols import SYMBOL_LEADERS
from pipeline.readers.figures import Figured, figured, newest_week
from pipeline.readers.keywords import KindsAsked
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Result
from pipeline.readers.table import Table
from pipeline.readers.values import count, invalid
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, symbols
from pipeline.weeks.concentration import SYMBOLS

ONE_KIND = "both kinds together are known only where both are captured: ask for venue_kind ATS or NON_ATS"


class LeadersAsked(KindsAsked, total=False):
    """The securities of one week, and how many."""

    top: int | str


@answering
def symbol_leaders(**asked: Unpack[LeadersAsked]) -> Result:
    """The securities of one week: the one asked for, or the newest in which all tiers asked for are captured."""
    question = newest_week(question_of(asked))
    if len(question.weeks.listed) > 1:
        raise invalid("week_ending", "symbol_leaders is of one week: give one week_ending, or ask symbol_history")
    top = count("top", asked["top"], least=1) if asked.get("top") is not None else None
    found = figured(question)
    meta = meta_of(SYMBOL_LEADERS.name, question, found.chosen, None, (top, *found.said()))
    table = Table(SYMBOL_LEADERS, lambda: _leaders(found, top), ONE_KIND)
    return Result(SYMBOL_LEADERS, meta, caveats.of_rows(found.chosen), table)


def _leaders(found: Figured, top: int | None) -> pl.DataFrame:
    rows = _symbols(found)
    within, shares = ("scope", "family"), pl.col("shares").cast(pl.Float64)
    total = pl.col("shares").sum().over(within).cast(pl.Float64)
    ranked = rows.sort("shares", "symbol", "issue_name", descending=[True, False, False]).with_columns(
        pl.lit(found.weeks[0] if found.weeks else None, pl.Date).alias("week_ending"),
        pl.col("scope").alias("tier"),
        pl.col("family").alias("venue_kind"),
        pl.col("shares").rank("min", descending=True).over(within).alias("rank"),
        pl.when(pl.col("trades") > 0).then(shares / pl.col("trades")).alias("average_trade_size"),
        pl.when(total > 0).then(shares / total).alias("share"),
        pl.when(total > 0)
        .then(pl.col("shares").cum_sum().over(within).cast(pl.Float64) / total)
        .alias("cumulative_ratio"),
    )
    shown = ranked if top is None else ranked.filter(pl.col("rank") <= top)
    return shown.with_columns((pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"))


def _symbols(found: Figured) -> pl.DataFrame:
    """The volume and the concentration of each security, of the scopes and the kind that are asked for."""
    if not found.weeks:
        return SYMBOLS.to_frame()
    week = found.weeks[0]
    captures, snapshot = found.figures.inputs[week], found.figures.snapshots.get(week)
    wanted = pl.col("scope").is_in(found.scopes) & (pl.col("family") == found.question.venue_kind.value)
    if snapshot is not None:
        with suppress(VintageDamaged):
            return _stored(snapshot, wanted)
    with reading(captures):
        return analytics.figures_from(captures).symbols.filter(wanted)


def _stored(snapshot: AnalyticsSnapshot, wanted: pl.Expr) -> pl.DataFrame:
    """From the file of the snapshot. VintageDamaged; ReadersError where the storage is away."""
    with reading(), symbols.naming_damage(snapshot):
        return symbols.of_snapshot(snapshot).filter(wanted).select(SYMBOLS.names()).collect()
