"""A security by week, and by venue: from the rows themselves, as of any instant, by either clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Unpack

import polars as pl

from pipeline.finra.calendar import MONDAY_TO_FRIDAY, WEEK
from pipeline.readers import caveats, published
from pipeline.readers.chosen import Chosen, choose
from pipeline.readers.datasets.symbols import SYMBOL_HISTORY, SYMBOL_VENUES, SYMBOL_VENUES_WIDE
from pipeline.readers.keywords import FridaysAsked, RowsAsked, SymbolAsked
from pipeline.readers.kinds import captured_kinds
from pipeline.readers.known import require_known_venue
from pipeline.readers.market import one_over
from pipeline.readers.meta import Caveat, Input, meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import ALL, Question, Venue, question_of
from pipeline.readers.restated import restated_by
from pipeline.readers.result import Result
from pipeline.readers.rows import VintageRows, of_venue, wanted
from pipeline.readers.symbols import SECURITY
from pipeline.readers.table import Table
from pipeline.readers.values import choice, count, invalid
from pipeline.readers.wide import MOST, Cells, Shape, Value, WideTable, quotient
from pipeline.weeks.concentration import FAMILY, IS_POOL, SUM, VENUE, concentrations

ABSENT = "the symbol has no row in these weeks and tiers, though it is known"


class SymbolVenuesAsked(RowsAsked, total=False):
    """The venues of a security: a row for each, or a column."""

    shape: str
    value: str
    top: int | str


def _of_symbol(asked: FridaysAsked, dataset: str) -> tuple[Question, Chosen]:
    question = question_of(asked)
    if not question.symbols:
        raise invalid("symbol", f"{dataset} is of a symbol: give symbol")
    return question, choose(question)


@answering
def symbol_history(**asked: Unpack[SymbolAsked]) -> Result:
    """A security by week. `tier="ALL"` asks for figures over all tiers."""
    question, chosen = _of_symbol(asked, SYMBOL_HISTORY.name)
    moved = restated_by(chosen.captures)
    before = published.follows_from(question, chosen.captures)
    meta = meta_of(SYMBOL_HISTORY.name, question, chosen, None, (*sorted(moved), *before))
    table = Table(SYMBOL_HISTORY, lambda: _history(question, chosen, moved), ABSENT)
    return Result(SYMBOL_HISTORY, meta, _warnings(question, chosen), table, summing=_lacking(question, chosen))


@answering
def symbol_venues(**asked: Unpack[SymbolVenuesAsked]) -> Result:
    """Who traded a security, by week, tier and venue. Sums over venues are the security's volume.

    With `shape="wide"` a row for each week, and a column with the `value` of each of the `top` venues.
    """
    question, chosen = _of_symbol(asked, SYMBOL_VENUES.name)
    if choice("shape", asked.get("shape") or Shape.LONG, Shape) is Shape.WIDE:
        return _wide(asked, question, chosen)
    for name in ("value", "top"):
        if asked.get(name) is not None:
            raise invalid(name, f"{name} is of shape=wide, which has a column for each venue")
    meta = meta_of(SYMBOL_VENUES.name, question, chosen, None, published.follows_from(question, chosen.captures))
    table = Table(SYMBOL_VENUES, lambda: _by_venue(question, chosen), ABSENT)
    return Result(SYMBOL_VENUES, meta, _warnings(question, chosen), table, summing=_lacking(question, chosen))


def _wide(asked: SymbolVenuesAsked, question: Question, chosen: Chosen) -> Result:
    value = choice("value", asked.get("value") or Value.SHARE, Value)
    top = count("top", asked["top"], least=1) if asked.get("top") is not None else MOST
    cells = Cells(lambda: _by_venue(question, chosen), value, top)
    meta = meta_of(SYMBOL_VENUES.name, question, chosen, None, (Shape.WIDE, value, top))
    table = WideTable(SYMBOL_VENUES_WIDE, cells.frame, ABSENT)
    return Result(SYMBOL_VENUES_WIDE, meta, _warnings(question, chosen), table, summing=cells.summary)


def _warnings(question: Question, chosen: Chosen) -> tuple[Caveat, ...]:
    return (*caveats.of_clock(question), *caveats.of_rows(chosen))


def _lacking(question: Question, chosen: Chosen) -> Callable[[], published.Unknown] | None:
    return published.counting(question, chosen.captures, wanted(question))


def histories(**asked: Unpack[SymbolAsked]) -> pl.DataFrame:
    """Every security by week and tier, as `symbol_history` has one."""
    question = question_of(asked)
    chosen = choose(question)
    return Table(SYMBOL_HISTORY, lambda: _history(question, chosen, restated_by(chosen.captures))).frame


def volumes(**asked: Unpack[RowsAsked]) -> pl.DataFrame:
    """Every security by week, tier and venue, as `symbol_venues` has one."""
    question = question_of(asked)
    return Table(SYMBOL_VENUES, lambda: _by_venue(question, choose(question))).frame


def _cells(rows: pl.DataFrame) -> pl.DataFrame:
    """What each venue traded in the securities, by week and tier; rows that differ in product type alone are one."""
    of = ("week_ending", "tier", *SECURITY, "venue_kind", "mpid", "crd", "venue")
    named = pl.col("venue_name").max(), pl.col("is_pool").first()
    summed = pl.col("shares").cast(SUM).sum(), pl.col("trades").sum()
    return rows.with_columns(VENUE, IS_POOL).group_by(of).agg(*named, *summed)


def _by_venue(question: Question, chosen: Chosen) -> pl.DataFrame:
    """The venues asked for, with their part of the security's volume: of all venues of the kinds asked for."""
    of_security = ("week_ending", "tier", *SECURITY)
    rows = VintageRows(replace(question, venue=Venue()), chosen).collect()
    rows = rows.with_columns(tier=pl.lit(ALL)) if question.over_all else rows
    totals = rows.group_by(of_security).agg(pl.col("shares").cast(SUM).sum().alias("row_total"))
    of_venues = rows.filter(*of_venue(question))
    require_known_venue(question, of_venues)
    return (
        _cells(of_venues)
        .join(totals, on=of_security, how="left")
        .with_columns(
            (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
            quotient(pl.col("shares"), pl.col("trades")).alias("average_trade_size"),
            quotient(pl.col("shares"), pl.col("row_total")).alias("share"),
        )
    )


def _history(question: Question, chosen: Chosen, moved: set[int]) -> pl.DataFrame:
    cells = _cells(VintageRows(question, chosen).collect())
    scope = pl.lit(ALL) if question.over_all else pl.col("tier")
    families = cells.with_columns(scope.alias("scope"), pl.col("venue_kind").cast(FAMILY).alias("family"))
    of_venues = families.group_by("scope", "family", "week_ending", *SECURITY, "venue").agg(
        pl.col("is_pool").first(), pl.col("shares", "trades").sum()
    )
    found = concentrations(of_venues, "week_ending", *SECURITY)
    rows = _side_by_side(found, captured_kinds(map(Input.of_capture, chosen.captures)))
    return rows.with_columns(_tier_changed(cells, rows), _restated(chosen, moved, over_all=question.over_all))


def _side_by_side(found: pl.DataFrame, captured: pl.DataFrame) -> pl.DataFrame:
    """A row for each week, tier and security: the figures of both kinds beside each other."""
    by = ["week_ending", "scope", *SECURITY]
    ats, firms = (_of_kind(found, kind) for kind in ("ATS", "NON_ATS"))
    keys = pl.concat([ats.select(by), firms.select(by)]).unique()
    joined = keys.join(ats, on=by, how="left").join(firms, on=by, how="left", suffix="_firms")
    ats_shares, ats_trades = _where("has_ats", "shares"), _where("has_ats", "trades")
    firm_shares, firm_trades = _where("has_non_ats", "shares_firms"), _where("has_non_ats", "trades_firms")
    both, trades = (ats_shares + firm_shares).cast(SUM), ats_trades + firm_trades
    return joined.join(captured, left_on=["week_ending", "scope"], right_on=["week_ending", "tier"], how="left").select(
        "week_ending",
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        pl.col("scope").alias("tier"),
        *SECURITY,
        ats_shares.alias("ats_shares"),
        firm_shares.alias("non_ats_shares"),
        both.alias("shares"),
        quotient(ats_shares, both).alias("ats_ratio"),
        ats_trades.alias("ats_trades"),
        firm_trades.alias("non_ats_trades"),
        trades.alias("trades"),
        quotient(ats_shares, ats_trades).alias("ats_average_trade_size"),
        quotient(both, trades).alias("average_trade_size"),
        _where("has_ats", "venues").alias("venues_ats"),
        _where("has_non_ats", "venues_firms").alias("venues_non_ats"),
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


def _restated(chosen: Chosen, moved: set[int], *, over_all: bool) -> pl.Expr:
    keys = [one.partition.key for one in chosen.captures if one.partition_id in moved]
    places = {f"{key.week_ending}|{ALL if over_all else key.tier}" for key in keys}
    place = pl.concat_str(pl.col("week_ending").cast(pl.String), pl.col("tier"), separator="|")
    return place.is_in(sorted(places)).alias("restated")
