"""The market: where is off-exchange volume, how concentrated is it, what moved this week."""

from __future__ import annotations

import polars as pl

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    as_of_field,
    caveats_of,
    downloads,
    facts_of,
    kind_field,
    revision_sentences,
    span_field,
    text_field,
    tier_field,
    vintage_field,
    without,
)
from pipeline.admin.market.series import bars, by, hundredths, lines, tenths, whole
from pipeline.admin.market.tables import Columns, Record
from pipeline.admin.shared import figures, market_links
from pipeline.admin.shared.charts import HIGH, MODERATE
from pipeline.models import HHI_POINTS
from pipeline.readers import DATASETS, Result

TOP, MOVERS = 25, 10
KIND = pl.col("venue_kind").replace({"NON_ATS": "non-ATS"})
LEADERS = (
    "rank",
    "rank_change",
    "mpid",
    "venue_name",
    "venue_kind",
    "shares",
    "share",
    "share_change_bp",
    "share_first_published",
    "shares_per_trading_day",
    "average_trade_size",
    "symbols",
)
MOVED = ("mpid", "venue_name", "venue_kind", "share_before", "share", "share_change_bp", "rank_before", "rank")
WEEKLY = (
    "week_ending",
    "venue_kind",
    "shares",
    "shares_per_trading_day",
    "ats_ratio",
    "hhi_low",
    "hhi_high",
    "average_trade_size",
    "venues",
    "symbols",
)


class Form(MarketForm):
    """A week, a span before it, and how it was known."""

    week_ending = text_field("Week ending", "a Friday; empty: the newest complete week", longest=10)
    tier = tier_field()
    venue_kind = kind_field()
    weeks = span_field()
    as_of = as_of_field()
    vintage = vintage_field()


def build(asked: Asked) -> Contents:
    """Four charts over the weeks, and the venues of the week with what won and lost."""
    asked = {"tier": ALL, **asked}
    over = {"weeks": "13", **without(asked, "week_ending", "venue_kind")}
    of_week = without(asked, "weeks")
    market, leaders = readers.market(**over), readers.venues(**of_week)
    sections = [*_charts(market, over), *_tops(leaders, over), *_leaders(leaders, of_week)]
    sections.append(_weekly(market, over))
    return Contents(sections, _facts(leaders), caveats_of(leaders, market))


def venue_of(record: Record) -> str:
    """The page of a record's venue."""
    return market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])


def _facts(leaders: Result) -> list[tuple[str, str]]:
    week = leaders.meta.inputs[0].week_ending if leaders.meta.inputs else None
    return [("Week ending", week.isoformat() if week else figures.NONE), *facts_of(leaders)]


def _charts(market: Result, over: Asked) -> list[Section]:
    """Volume, concentration and the size of trades, by week."""
    frame = market.frame.with_columns(KIND.alias("kind"))
    if frame.is_empty():
        return []
    kinds = frame.filter(pl.col("kind") != ALL)
    daily = by(kinds, "week_ending", "kind", pl.col("shares_per_trading_day"))
    hhi = by(kinds, "week_ending", "kind", pl.col("hhi_low") * HHI_POINTS)
    size = by(kinds, "week_ending", "kind", pl.col("average_trade_size"))
    ways = downloads(market, over)
    return [
        Section(
            "Volume",
            "Shares per trading day: weeks with a holiday compare with the others",
            bars(daily, "week_ending", daily.columns[1:], "shares a day", said=whole),
            downloads=ways,
        ),
        Section(
            "Concentration",
            "HHI in points, the pool of small firms taken as many; dashed: moderate and high",
            lines(hhi, "week_ending", hhi.columns[1:], "HHI, points", said=tenths, bands=(MODERATE, HIGH)),
        ),
        Section(
            "Trade size",
            "Average shares of a trade",
            lines(size, "week_ending", size.columns[1:], "shares a trade", said=tenths),
        ),
    ]


def _tops(leaders: Result, over: Asked) -> list[Section]:
    """The share of the week's ten largest ATSs, by week."""
    ats = leaders.frame.filter(pl.col("venue_kind") == "ATS").head(10)["mpid"].to_list()
    if not ats:
        return []
    history = readers.venue_history(**over, mpid=ats).frame
    shares = by(history, "week_ending", "mpid", pl.col("share") * 100)
    drawn = bars(shares, "week_ending", shares.columns[1:], "% of ATS shares", said=hundredths)
    return [Section("The ten largest ATSs", "Their part of ATS volume, by week", drawn)]


def _leaders(leaders: Result, of_week: Asked) -> list[Section]:
    facts = leaders.meta.facts
    compared = "" if facts is None else f"Compared with {facts.compared_with}"
    if facts is not None and not facts.comparable:
        compared = f"Not compared: {facts.comparable_because}"
    links = {"mpid": venue_of, "venue_name": venue_of}
    board = Columns(DATASETS["venues"], LEADERS, links).table(leaders.frame, TOP)
    inputs = leaders.meta.inputs
    sentences = revision_sentences(inputs[0].week_ending, sorted({one.tier for one in inputs})) if inputs else ()
    moved = leaders.frame.filter(pl.col("share_change_bp").is_not_null()).sort("share_change_bp", descending=True)
    columns = Columns(DATASETS["venues"], MOVED, links)
    won = moved.filter(pl.col("share_change_bp") > 0)
    lost = moved.filter(pl.col("share_change_bp") < 0).reverse()
    new = (
        leaders.frame.filter(pl.col("rank_before").is_null())
        if facts is not None and facts.comparable
        else moved.clear()
    )
    none = "No venue: the week before is not comparable, or nothing moved."
    return [
        Section("Venues of the week", compared, None, board, "No venue.", downloads(leaders, of_week), sentences),
        Section("Gained share", compared, None, columns.table(won, MOVERS), none),
        Section("Lost share", compared, None, columns.table(lost, MOVERS), none),
        Section(
            "New this week", compared, None, columns.table(new, MOVERS), "No venue that was absent the week before."
        ),
    ]


def _weekly(market: Result, over: Asked) -> Section:
    links = {"week_ending": lambda record: market_links.of_market(record["week_ending"])}
    table = Columns(DATASETS["market"], WEEKLY, links).table(market.frame.reverse(), TOP * 4)
    return Section("Week by week", DATASETS["market"].meaning, None, table, "No week.", downloads(market, over))


PAGE = MarketPage(
    "market",
    "Market",
    "Where is off-exchange volume, how concentrated is it, and what moved this week?",
    Form,
    build,
)
