"""A venue: is it growing, and in what."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipeline import readers
from pipeline.admin.market.chips import chips_of
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    Tile,
    as_of_field,
    asking,
    caveats_of,
    downloads,
    facts_of,
    rows_behind,
    span_field,
    text_field,
    tier_field,
    vintage_field,
    without,
)
from pipeline.admin.market.tables import Columns, Record, brief, entries
from pipeline.admin.market.venue_charts import charts
from pipeline.admin.shared import market_links
from pipeline.finra.calendar import WEEK
from pipeline.readers import DATASETS, Result
from pipeline.readers.datasets.restatements import VENUE_REVISIONS
from pipeline.readers.datasets.venues import VENUE_NAMES
from pipeline.readers.sentences import sentences_of
from pipeline.readers.venue_revisions import venue_names, venue_revisions

TOP, MOST = 25, 100
IDENTITY = ("mpid", "crd", "venue_name")
HISTORY = (
    "week_ending",
    "tier",
    "venue_kind",
    "share",
    "share_first_published",
    "rank",
    "share_of_all",
    "shares",
    "shares_per_trading_day",
    "average_trade_size",
    "symbols",
    "restated",
)
TIERS = ("tier", "share", "rank", "shares", "average_trade_size", "symbols")
SYMBOLS = (
    "symbol",
    "shares",
    "shares_change",
    "share_of_symbol",
    "rank",
    "average_trade_size",
    "shares_before",
    "tier",
    "issue_name",
)
LEADS = ("symbol", "share_of_symbol", "venues", "shares", "tier", "issue_name")
REVISED = ("week_ending", "tier", "shares_before", "shares_after", "share_before", "share_after", "known_from", "cause")
TILES = (
    ("Share of its kind", "share"),
    ("Rank", "rank"),
    ("Shares a day", "shares_per_trading_day"),
    ("Trade size", "average_trade_size"),
    ("Symbols", "symbols"),
)


class Form(MarketForm):
    """A venue by its MPID; a firm without one by its CRD number or its name."""

    mpid = text_field("MPID", "such as UBSA", longest=10)
    crd = text_field("CRD number", longest=20)
    venue_name = text_field("Name", "exactly, of a firm without MPID")
    tier = tier_field()
    weeks = span_field()
    as_of = as_of_field()
    vintage = vintage_field()


def build(asked: Asked) -> Contents:
    """The figures of its newest week, charts over the weeks, what it trades, and what became of it after publication."""
    if not any(name in asked for name in IDENTITY):
        return asking("Which venue? Give its MPID; of a firm without one its CRD number or its name.")
    asked = {"tier": ALL, "weeks": "13", **asked}
    history = readers.venue_history(**asked)
    if history.frame.is_empty():
        return Contents([Section("By week", empty=f"Nothing: {history.empty_because}.")], facts_of(history))
    last = history.frame.row(-1, named=True)
    week = last["week_ending"]
    tiers = readers.venue_history(**without(asked, "tier")) if asked["tier"] == ALL else history
    sections = [
        *charts(history.frame, tiers.frame, asked),
        *_symbols(asked, week),
        _tiers(tiers, week, asked),
        *_past(asked),
        _weekly(history, asked),
    ]
    name = last["mpid"] or last["venue_name"]
    return Contents(
        sections,
        [("Venue", name), *facts_of(history)],
        caveats_of(history),
        chips_of(week, history),
        [Tile("Venue", name, f"{last['venue_name']}, {last['venue_kind']}"), *_tiles(history)],
        history.meta.as_of,
        name,
    )


def _tiles(history: Result) -> list[Tile]:
    """The figures of its newest week, beside those of the week before it."""
    last = history.frame.row(-1, named=True)
    earlier = history.frame.filter(pl.col("week_ending") == last["week_ending"] - WEEK)
    before = earlier.row(0, named=True) if earlier.height else None
    return [
        Tile(
            title,
            brief(name, last[name]),
            f"week before: {brief(name, before[name])}" if before else "",
            entries(DATASETS["venue_history"], name)[0],
        )
        for title, name in TILES
    ]


def _symbols(asked: Asked, week: date) -> list[Section]:
    """What it trades most, with the change on the week before; and where it is the first of its kind."""
    of_week = {**without(asked, "weeks", "tier"), "week_ending": week.isoformat()}
    if asked["tier"] != ALL:
        of_week["tier"] = asked["tier"]
    found = readers.venue_symbols(**of_week)
    most = found.frame.sort("shares", "symbol", descending=[True, False])
    links = {"symbol": _symbol, "shares": rows_behind(found, of_week)}
    columns = Columns(DATASETS["venue_symbols"], SYMBOLS, links)
    leads = Columns(DATASETS["venue_symbols"], LEADS, links).table(most.filter(pl.col("rank") == 1), TOP)
    sentences = sentences_of(week, sorted({one.tier for one in found.meta.inputs}), ALL)
    return [
        Section(
            f"Largest symbols, week {week}",
            "By its volume in them, beside the week before; rank is its place in the symbol among venues of its kind",
            table=columns.table(most, TOP),
            empty="No row.",
            downloads=downloads(found, of_week),
            sentences=sentences,
        ),
        Section(
            "Symbols where it leads",
            "It traded more of them than any other venue of its kind",
            table=leads,
            empty="None.",
        ),
    ]


def _tiers(tiers: Result, week: date, asked: Asked) -> Section:
    """Its share, rank and volume in each tier."""
    of_week = tiers.frame.filter(pl.col("week_ending") == week)
    links = {"shares": rows_behind(tiers, asked)}
    table = Columns(DATASETS["venue_history"], TIERS, links).table(of_week, MOST)
    return Section(f"By tier, week {week}", "", None, table, "No row.", narrow=True)


def _past(asked: Asked) -> list[Section]:
    """The names that it has had, and the restatements that moved it."""
    names, revised = venue_names(**_identity(asked)), venue_revisions(**without(asked, "vintage"))
    links = {"week_ending": _market}
    return [
        Section(
            "Names it has had",
            "In all captured weeks; a firm without MPID is known by its name alone",
            table=Columns(VENUE_NAMES, VENUE_NAMES.names).table(names, MOST),
            empty="None: the week's analytics have not been computed.",
            narrow=True,
        ),
        Section(
            "Restatements that touched it",
            f"{VENUE_REVISIONS.meaning}, of the weeks shown",
            table=Columns(VENUE_REVISIONS, REVISED, links).table(revised, MOST),
            empty="None: its volume in these weeks is as it was first published.",
        ),
    ]


def _identity(asked: Asked) -> Asked:
    return {name: asked[name] for name in IDENTITY if name in asked}


def _weekly(history: Result, asked: Asked) -> Section:
    links = {"week_ending": _market, "shares": rows_behind(history, asked)}
    table = Columns(DATASETS["venue_history"], HISTORY, links).table(history.frame.reverse(), MOST)
    return Section(
        "By week", DATASETS["venue_history"].meaning, None, table, "", downloads(history, asked), folded=True
    )


def _market(record: Record) -> str:
    return market_links.of_market(record["week_ending"])


def _symbol(record: Record) -> str:
    return market_links.of_symbol(record["symbol"])


PAGE = MarketPage("market_venue", "Venue", "Is this venue growing, and in what?", Form, build)
