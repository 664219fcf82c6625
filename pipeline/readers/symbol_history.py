"""A security by week, and by venue: from the rows themselves, as of any instant."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from pipeline.finra.calendar import MONDAY_TO_FRIDAY, WEEK
from pipeline.readers import caveats
from pipeline.readers.chosen import Chosen, choose
from pipeline.readers.datasets_of_figures import SYMBOL_HISTORY, SYMBOL_VENUES
from pipeline.readers.market import one_over
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import ALL, Asked, Question, invalid, question_of
from pipeline.readers.restated import restated_by
from pipeline.readers.result import Result
from pipeline.readers.rows import VintageRows
from pipeline.readers.symbols import SECURITY
from pipeline.readers.table import Table
from pipeline.weeks.concentration import FAMILY, IS_POOL, SUM, VENUE, concentrations

ABSENT = "the symbol has no row in these weeks and tiers, though it is known"


def _of_symbol(asked: Asked, dataset: str) -> tuple[Question, Chosen]:
    question = question_of(asked)
    if not question.symbols:
        raise invalid("symbol", f"{dataset} is of a symbol: give symbol")
    return question, choose(question)


@answering
def symbol_history(**asked: Unpack[Asked]) -> Result:
    """A security by week. `tier="ALL"` asks for figures over all tiers."""
    question, chosen = _of_symbol(asked, SYMBOL_HISTORY.name)
    meta = meta_of(SYMBOL_HISTORY.name, question, chosen, None, sorted(restated_by(chosen.captures)))
    table = Table(SYMBOL_HISTORY, lambda: _history(question, chosen), ABSENT)
    return Result(SYMBOL_HISTORY, meta, caveats.of_rows(chosen), table)


@answering
def symbol_venues(**asked: Unpack[Asked]) -> Result:
    """Who traded a security, by week, tier and venue. Sums over venues are the security's volume."""
    question, chosen = _of_symbol(asked, SYMBOL_VENUES.name)
    meta = meta_of(SYMBOL_VENUES.name, question, chosen)
    table = Table(SYMBOL_VENUES, lambda: _by_venue(question, chosen), ABSENT)
    return Result(SYMBOL_VENUES, meta, caveats.of_rows(chosen), table)


def histories(**asked: Unpack[Asked]) -> pl.DataFrame:
    """Every security by week and tier, as `symbol_history` has one."""
    question = question_of(asked)
    return Table(SYMBOL_HISTORY, lambda: _history(question, choose(question))).frame


def volumes(**asked: Unpack[Asked]) -> pl.DataFrame:
    """Every security by week, tier and venue, as `symbol_venues` has one."""
    question = question_of(asked)
    return Table(SYMBOL_VENUES, lambda: _by_venue(question, choose(question))).frame


def _cells(question: Question, chosen: Chosen) -> pl.DataFrame:
    """What each venue traded in the securities, by week and tier; rows that differ in product type alone are one."""
    rows = VintageRows(question, chosen).collect().with_columns(VENUE, IS_POOL)
    of = ("week_ending", "tier", *SECURITY, "venue_kind", "mpid", "crd", "venue")
    named = pl.col("venue_name").max(), pl.col("is_pool").first()
    return rows.group_by(of).agg(*named, pl.col("shares").cast(SUM).sum(), pl.col("trades").sum())


def _by_venue(question: Question, chosen: Chosen) -> pl.DataFrame:
    total = pl.col("shares").sum().over("week_ending", "tier", *SECURITY)
    return _cells(question, chosen).with_columns(
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        _part(pl.col("shares"), pl.col("trades")).alias("average_trade_size"),
        _part(pl.col("shares"), total).alias("share"),
    )


def _history(question: Question, chosen: Chosen) -> pl.DataFrame:
    cells = _cells(question, chosen)
    scope = pl.lit(ALL) if question.over_all else pl.col("tier")
    families = cells.with_columns(scope.alias("scope"), pl.col("venue_kind").cast(FAMILY).alias("family"))
    of_venues = families.group_by("scope", "family", "week_ending", *SECURITY, "venue").agg(
        pl.col("is_pool").first(), pl.col("shares", "trades").sum()
    )
    found = concentrations(of_venues, "week_ending", *SECURITY)
    rows = _side_by_side(found, _kinds_captured(chosen, over_all=question.over_all))
    return rows.with_columns(_tier_changed(cells, rows), _restated(chosen, over_all=question.over_all))


def _side_by_side(found: pl.DataFrame, captured: pl.DataFrame) -> pl.DataFrame:
    """A row for each week, tier and security: the figures of both kinds beside each other."""
    by = ["week_ending", "scope", *SECURITY]
    ats, firms = (_of_kind(found, kind) for kind in ("ATS", "NON_ATS"))
    keys = pl.concat([ats.select(by), firms.select(by)]).unique()
    joined = keys.join(ats, on=by, how="left").join(firms, on=by, how="left", suffix="_firms")
    ats_shares, ats_trades = _where("has_ats", "shares"), _where("has_ats", "trades")
    firm_shares, firm_trades = _where("has_non_ats", "shares_firms"), _where("has_non_ats", "trades_firms")
    both, trades = (ats_shares + firm_shares).cast(SUM), ats_trades + firm_trades
    return joined.join(captured, on=["week_ending", "scope"], how="left").select(
        "week_ending",
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        pl.col("scope").alias("tier"),
        *SECURITY,
        ats_shares.alias("ats_shares"),
        firm_shares.alias("non_ats_shares"),
        both.alias("shares"),
        _part(ats_shares, both).alias("ats_ratio"),
        ats_trades.alias("ats_trades"),
        firm_trades.alias("non_ats_trades"),
        trades.alias("trades"),
        _part(ats_shares, ats_trades).alias("ats_average_trade_size"),
        _part(both, trades).alias("average_trade_size"),
        pl.col("venues").fill_null(0).alias("venues_ats"),
        pl.col("venues_firms").fill_null(0).alias("venues_non_ats"),
        pl.col("hhi_low").alias("hhi_ats"),
        one_over("hhi_low").alias("effective_venues_ats"),
        pl.col("hhi_low_firms").alias("hhi_non_ats_low"),
        pl.col("hhi_high_firms").alias("hhi_non_ats_high"),
    )


def _where(captured: str, figure: str) -> pl.Expr:
    """A figure of a kind: none where the kind is not captured, zero where it has no row."""
    return pl.when(captured).then(pl.col(figure).fill_null(0))


def _of_kind(found: pl.DataFrame, kind: str) -> pl.DataFrame:
    return found.filter(pl.col("family") == kind).drop("family", "named", "pooled")


def _part(of: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """A quotient in double precision; null without a whole."""
    return pl.when(whole > 0).then(of.cast(pl.Float64) / whole.cast(pl.Float64))


def _kinds_captured(chosen: Chosen, *, over_all: bool) -> pl.DataFrame:
    """Of each week and tier whether it has ATSs, and whether it has firms; over all tiers, whether each has."""
    schema = {"week_ending": pl.Date, "scope": pl.String, "has_ats": pl.Boolean, "has_non_ats": pl.Boolean}
    said = []
    for one in chosen.captures:
        scope = ALL if over_all else one.partition.tier
        said.append((one.partition.week_ending, scope, one.rows_kept > one.rows_non_ats, one.rows_non_ats > 0))
    frame = pl.DataFrame(said, schema=schema, orient="row")
    return frame.group_by("week_ending", "scope").agg(pl.col("has_ats", "has_non_ats").all())


def _tier_changed(cells: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Of each row whether its security was in other tiers the week before; null where it was in none."""
    tiers: dict[tuple[object, ...], set[str]] = {}
    for week, tier, *security in cells.select("week_ending", "tier", *SECURITY).unique().iter_rows():
        tiers.setdefault((week, *security), set()).add(tier)
    changed = []
    for week, *security in rows.select("week_ending", *SECURITY).iter_rows():
        before = tiers.get((week - WEEK, *security))
        changed.append(None if before is None else before != tiers[week, *security])
    return pl.Series("tier_changed", changed, dtype=pl.Boolean)


def _restated(chosen: Chosen, *, over_all: bool) -> pl.Expr:
    moved = restated_by(chosen.captures)
    keys = [one.partition.key for one in chosen.captures if one.partition_id in moved]
    places = {f"{key.week_ending}|{ALL if over_all else key.tier}" for key in keys}
    place = pl.concat_str(pl.col("week_ending").cast(pl.String), pl.col("tier"), separator="|")
    return place.is_in(sorted(places)).alias("restated")
