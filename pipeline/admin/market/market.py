"""The market: where is off-exchange volume, how concentrated is it, what moved this week."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from pipeline import readers
from pipeline.admin.market.chips import chips_of
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    Fold,
    MarketForm,
    MarketPage,
    Section,
    Tile,
    as_of_field,
    caveats_of,
    downloads,
    facts_of,
    kind_field,
    rows_behind,
    span_field,
    span_of,
    text_field,
    tier_field,
    vintage_field,
    week_field,
    without,
)
from pipeline.admin.market.market_charts import charts
from pipeline.admin.market.tables import Columns, Record, brief, entries, said
from pipeline.admin.shared import figures, market_links
from pipeline.admin.shared.concentration import band
from pipeline.finra.calendar import WEEK
from pipeline.readers import DATASETS, Result
from pipeline.readers.sentences import sentences_of
from pipeline.readers.venues import least_share
from pipeline.readers.week_before import departed_venues

TOP, MOVERS = 25, 10
LEADING, MOST = 15, 1_000  # venues that stand open, and in the fold
LEADERS = (
    "rank",
    "venue_kind",
    "mpid",
    "venue_name",
    "share",
    "share_change_bp",
    "rank_change",
    "share_first_published",
    "shares_per_trading_day",
    "average_trade_size",
    "symbols",
)
MOVED = ("mpid", "venue_name", "venue_kind", "share", "share_change_bp")
SYMBOLS = (
    "rank",
    "symbol",
    "shares",
    "share",
    "cumulative_ratio",
    "average_trade_size",
    "venues",
    "hhi_low",
    "hhi_high",
    "issue_name",
)
CAME = ("mpid", "venue_name", "venue_kind", "rank", "share")
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
    "restated",
)


class Form(MarketForm):
    """A week, a span before it, and how it was known."""

    week_ending = week_field("Week ending", "empty: the newest complete week")
    tier = tier_field()
    venue_kind = kind_field()
    min_share = text_field("Least share", "of its kind; 0.01 is one per cent", longest=12)
    weeks = span_field()
    as_of = as_of_field()
    vintage = vintage_field()


def build(asked: Asked) -> Contents:
    """The figures of the week, four charts over the weeks before it, its venues with what won and lost."""
    asked = {"tier": ALL, **asked}
    over, of_week = span_of(without(asked, "venue_kind", "min_share")), without(asked, "weeks")
    market, leaders = readers.market(**over), readers.venues(**of_week)
    if leaders.frame.is_empty():
        return Contents([Section("Venues of the week", empty="No venue.")], facts_of(leaders), caveats_of(leaders))
    week = leaders.frame["week_ending"][0]
    sections = [*charts(market.frame, over, week, downloads(market, over)), *_leaders(leaders, of_week)]
    sections += [_symbols(of_week), _weekly(market, over)]
    return Contents(
        sections,
        [("Week ending", week.isoformat()), *facts_of(leaders)],
        caveats_of(leaders, market),
        chips_of(week, leaders),
        _tiles(market.frame, leaders, week),
        leaders.meta.as_of,
        f"week ending {week}",
    )


def venue_of(record: Record) -> str:
    """The page of a record's venue."""
    return market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])


def _tiles(market: pl.DataFrame, leaders: Result, week: date) -> list[Tile]:
    """The figures of the week, each beside that of the week before where the two compare."""
    comparison = leaders.meta.facts
    weeks = {week: "now", week - WEEK: "before"} if comparison and comparison.comparable else {week: "now"}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in market.filter(pl.col("week_ending").is_in(list(weeks))).iter_rows(named=True):
        found[weeks[record["week_ending"]], record["venue_kind"]] = record
    wanted = (
        ("Shares a day", ALL, "shares_per_trading_day"),
        ("ATS part", "ATS", "ats_ratio"),
        ("HHI of ATSs", "ATS", "hhi_low"),
        ("HHI of other firms", "NON_ATS", "hhi_low"),
        ("ATS trade size", "ATS", "average_trade_size"),
        ("Non-ATS trade size", "NON_ATS", "average_trade_size"),
    )
    told = [
        (title, found[key], found.get(("before", kind)), name)
        for title, kind, name in wanted
        if (key := ("now", kind)) in found
    ]
    return [_tile(title, now, before, name) for title, now, before, name in told]


def _tile(title: str, now: Record, before: Record | None, name: str) -> Tile:
    words = [f"week before: {_figure(before, name)}"] if before else []
    if name == "hhi_low" and now["hhi_low"] is not None:
        least, most = band(now["hhi_low"]), band(now["hhi_high"])
        words.insert(0, least if least == most else f"{least} to {most}")
    return Tile(title, _figure(now, name), "; ".join(words), entries(DATASETS["market"], name)[0])


def _figure(record: Record, name: str) -> str:
    if name == "hhi_low":
        return figures.whole_points(record["hhi_low"], record["hhi_high"])
    return brief(name, record[name])


def _leaders(leaders: Result, of_week: Asked) -> list[Section]:
    facts = leaders.meta.facts
    compared = "" if facts is None else f"compared with {facts.compared_with}"
    if facts is not None and not facts.comparable:
        compared = f"not compared: {facts.comparable_because}"
    links = {"mpid": venue_of, "venue_name": _firm_of, "shares_per_trading_day": rows_behind(leaders, of_week)}
    columns, ordered = Columns(DATASETS["venues"], LEADERS, links), leaders.frame.sort("shares", descending=True)
    others = ordered.slice(LEADING)
    week = leaders.frame["week_ending"][0]
    sentences = sentences_of(week, sorted({one.tier for one in leaders.meta.inputs}), of_week.get("venue_kind", ALL))
    title = f"Venues of week {week}"
    lead = "By volume; share and rank are within their kind" + (f", {compared}" if compared else "")
    return [
        Section(
            title,
            lead,
            table=columns.table(ordered.head(LEADING), LEADING),
            empty="No venue.",
            downloads=downloads(leaders, of_week),
            sentences=sentences,
            fold=Fold(_together(others), columns.table(others, MOST)) if others.height else None,
        ),
        *_moved(leaders, of_week, compared.capitalize()),
    ]


def _together(others: pl.DataFrame) -> str:
    """What the venues in the fold come to, in a line."""
    of_kinds = others.group_by("venue_kind").agg(pl.col("share").sum()).sort("venue_kind").rows()
    parts = " and ".join(f"{said('share', share)} of {said('venue_kind', kind)}" for kind, share in of_kinds)
    return f"{others.height} other venue{'s' if others.height > 1 else ''}, together {parts} volume"


def _moved(leaders: Result, of_week: Asked, compared: str) -> list[Section]:
    """What won, what lost, what is new and what is gone."""
    links = {"mpid": venue_of, "venue_name": _firm_of}
    moves, came = Columns(DATASETS["venues"], MOVED, links), Columns(DATASETS["venues"], CAME, links)
    moved = leaders.frame.filter(pl.col("share_change_bp").is_not_null()).sort("share_change_bp", descending=True)
    won, lost = moved.filter(pl.col("share_change_bp") > 0), moved.filter(pl.col("share_change_bp") < 0).reverse()
    facts = leaders.meta.facts
    comparable = facts is not None and facts.comparable
    new = leaders.frame.filter(pl.col("rank_before").is_null()) if comparable else moved.clear()
    gone = departed_venues(**without(of_week, "min_share")).filter(pl.col("share") >= least_share(of_week))
    none = "None." if comparable else "The week before does not compare."
    return [
        Section("Gained share", compared, None, moves.table(won, MOVERS), none, narrow=True),
        Section("Lost share", compared, None, moves.table(lost, MOVERS), none, narrow=True),
        Section("New this week", compared, None, came.table(new, MOVERS), none, narrow=True),
        Section(
            "Gone this week", "Their figures of the week before", None, came.table(gone, MOVERS), none, narrow=True
        ),
    ]


def _firm_of(record: Record) -> str:
    """The page of a venue that has no MPID to link."""
    return "" if record["mpid"] else venue_of(record)


def _symbols(of_week: Asked) -> Section:
    """The largest securities, and what they have together."""
    largest = {**of_week, "top": str(TOP)}
    leaders = readers.symbol_leaders(**without(largest, "min_share"))
    links = {"symbol": _symbol, "shares": rows_behind(leaders, of_week)}
    table = Columns(DATASETS["symbol_leaders"], SYMBOLS, links).table(leaders.frame, TOP)
    lead = "By volume, with the part that each and all before it have together"
    empty = f"None: {leaders.empty_because}." if leaders.frame.is_empty() else ""
    return Section("Top symbols", lead, None, table, empty, downloads(leaders, without(of_week, "min_share")))


def _symbol(record: Record) -> str:
    return market_links.of_symbol(record["symbol"])


def _weekly(market: Result, over: Asked) -> Section:
    links = {"week_ending": lambda record: market_links.of_market(record["week_ending"])}
    table = Columns(DATASETS["market"], WEEKLY, links).table(market.frame.reverse(), TOP * 4)
    return Section(
        "Week by week", DATASETS["market"].meaning, None, table, "No week.", downloads(market, over), folded=True
    )


PAGE = MarketPage(
    "market",
    "Market",
    "Where is off-exchange volume, how concentrated is it, and what moved this week?",
    Form,
    build,
)
