"""The tables of a symbol's page: its venues of one week and their rows' versions, its venues and tiers over the weeks."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipeline import readers
from pipeline.admin.market.frame import ALL, Asked, Section, downloads, rows_behind, without
from pipeline.admin.market.heat import heat_table
from pipeline.admin.market.tables import Columns, Record
from pipeline.admin.shared import market_links
from pipeline.finra.calendar import WEEK
from pipeline.readers import Result
from pipeline.readers.datasets.symbols import SYMBOL_AT_TWO, TIERS_HELD
from pipeline.readers.known import spellings
from pipeline.readers.sentences import sentences_of
from pipeline.readers.symbol_compared import (
    ROW_VERSIONS,
    SYMBOL_SPLIT,
    beside_version_before,
    beside_week_before,
    symbol_at_two,
    tiers_held,
)

TOP, MOST, HEATED, WEEKS = 25, 160, 20, 26
FIRST = "first"
VENUES = (
    "mpid",
    "venue_name",
    "share",
    "share_change_bp",
    "share_before",
    "shares",
    "trades",
    "average_trade_size",
    "venue_kind",
    "tier",
)
VERSIONS = (
    "mpid",
    "venue_name",
    "shares_before",
    "shares",
    "known_from",
    "known_to",
    "trades_before",
    "trades",
    "last_update_date",
    "tier",
)
AT_TWO = [name for name in SYMBOL_AT_TWO.names if name not in ("symbol", "issue_name")]
VENUE_WORDS = pl.when(pl.col("mpid") == "").then("venue_name").otherwise("mpid")
TIER_WORDS = pl.when(pl.col("tier").n_unique() > 1).then(pl.concat_str(VENUE_WORDS, pl.lit(", "), "tier"))


def venues_of(of_week: Asked, over: Result) -> Section:
    """Who traded it in one week, beside the week before: of `over` where that has both weeks."""
    split = readers.symbol_venues(**of_week)
    week = date.fromisoformat(of_week["week_ending"])
    weeks = {week - WEEK, week}
    both = over
    if not weeks <= {one.week_ending for one in over.meta.inputs}:
        both = readers.symbol_venues(**{**of_week, "week_ending": sorted(weeks)})
    frame = beside_week_before(both, of_week.get("venue_kind", ALL)).filter(pl.col("week_ending") == week)
    links = {"mpid": _venue, "venue_name": _firm, "shares": rows_behind(split, of_week)}
    ordered = frame.sort("shares", "mpid", "venue_name", descending=[True, False, False])
    table = Columns(SYMBOL_SPLIT, VENUES, links).table(ordered, TOP)
    inputs = split.meta.inputs
    tiers = frame["tier"].unique().sort().to_list()
    sentences = sentences_of(inputs[0].week_ending, tiers, of_week.get("venue_kind", ALL)) if inputs else ()
    title, lead = f"Venues, week ending {of_week['week_ending']}", "By volume, beside the week before"
    return Section(title, lead, None, table, "No row.", downloads(split, of_week), sentences)


def versions_of(of_week: Asked) -> Section:
    """Every version of the rows of a week, beside the version before it."""
    asked: Asked = {name: of_week[name] for name in ("symbol", "week_ending", "venue_kind") if name in of_week}
    history = readers.row_history(**asked)
    frame = beside_version_before(history.frame).select(*history.frame.columns, "shares_before", "trades_before")
    table = Columns(ROW_VERSIONS, VERSIONS, {"mpid": _venue, "venue_name": _firm}).table(frame, MOST)
    revised = history.frame.filter(pl.col("first_version") > 1).height
    said = f"{revised} of {frame.height} came later" if revised else "all are as first captured"
    title = f"Every version of these rows, week ending {of_week['week_ending']}"
    lead, ways = f"From when until when each was known; {said}", downloads(history, asked)
    return Section(title, lead, None, table, "No row.", ways, folded=not revised)


def over_weeks(venues: Result, over: Asked) -> list[Section]:
    """Its venues by week, as a table of heat; its tiers over time; other spellings."""
    frame = venues.frame.with_columns(pl.coalesce(TIER_WORDS, VENUE_WORDS).alias("words"))
    heat = heat_table(frame, "words", _venue, WEEKS, HEATED)
    lead = "Part of the symbol's volume, the newest week first; the darker, the larger"
    held = Columns(TIERS_HELD, ("tier", "first_week", "last_week", "weeks")).table(tiers_held(venues.frame), MOST)
    return [
        Section("Venues by week", lead, None, heat, "No row.", downloads(venues, over)),
        Section("Tiers held", TIERS_HELD.meaning, None, held, "No row.", narrow=True),
        _spellings(over["symbol"]),
    ]


def _spellings(symbol: str) -> Section:
    """The securities that are written like it but for case and separators, and how it is written elsewhere."""
    others = [one for one in spellings(symbol) if one != symbol]
    told = f"FINRA publishes these, too: {', '.join(others)}." if others else "FINRA publishes no other spelling of it."
    found = "The search finds it by any case, and with any of . - / or a space for another, such as "
    example = symbol.replace(".", "/").replace(" ", "/") if {".", " "} & set(symbol) else symbol.lower()
    return Section("Other spellings", sentences=(told, f"{found}{example}."), narrow=True)


def at_two(over: Asked, against: str) -> list[Section]:
    """Its weeks as they are shown, beside those of another vintage."""
    shown: Asked = {name: over[name] for name in ("as_of", "vintage") if name in over}
    other = {"vintage": FIRST} if against.strip().lower() == FIRST else {"as_of": against}
    question = {**without(over, "as_of", "vintage"), "tier": ALL}
    frame = symbol_at_two(other, shown, **question)
    table = Columns(SYMBOL_AT_TWO, AT_TWO).table(frame.reverse(), MOST)
    words = "first published" if against.strip().lower() == FIRST else f"known at {against}"
    return [Section("At two instants", f"A: as {words}. B: as shown on this page", None, table, "No week.")]


def symbol_of(record: Record) -> str:
    """The page of a record's symbol."""
    return market_links.of_symbol(record["symbol"])


def _venue(record: Record) -> str:
    return market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])


def _firm(record: Record) -> str:
    """The page of a venue that has no MPID to link."""
    return "" if record["mpid"] else _venue(record)
