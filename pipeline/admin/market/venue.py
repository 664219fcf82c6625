"""A venue: is it growing, and in what."""

from __future__ import annotations

from datetime import date

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
    asking,
    caveats_of,
    downloads,
    facts_of,
    revision_sentences,
    span_field,
    text_field,
    tier_field,
    without,
)
from pipeline.admin.market.series import hundredths, lines, tenths
from pipeline.admin.market.tables import Columns, Record
from pipeline.admin.shared import figures, market_links
from pipeline.readers import DATASETS, Result

TOP = 25
IDENTITY = ("mpid", "crd", "venue_name")
HISTORY = (
    "week_ending",
    "tier",
    "venue_kind",
    "shares",
    "share",
    "rank",
    "share_of_all",
    "average_trade_size",
    "symbols",
    "restated",
)
ROWS = ("symbol", "issue_name", "tier", "shares", "trades", "capture_id")


class Form(MarketForm):
    """A venue by its MPID; a firm without one by its CRD number or its name."""

    mpid = text_field("MPID", "such as UBSA", longest=10)
    crd = text_field("CRD number", longest=20)
    venue_name = text_field("Name", "exactly, of a firm without MPID")
    tier = tier_field()
    weeks = span_field()
    as_of = as_of_field()


def build(asked: Asked) -> Contents:
    """Its share, as first published and as known, its rank, its trades; its largest symbols of the newest week."""
    if not any(name in asked for name in IDENTITY):
        return asking("Which venue? Give its MPID; of a firm without one its CRD number or its name.")
    asked = {"tier": ALL, "weeks": "13", **asked}
    history = readers.venue_history(**asked)
    frame = history.frame
    if frame.is_empty():
        return Contents([Section("By week", empty=f"Nothing: {history.empty_because}.")], facts_of(history))
    last = frame.row(-1, named=True)
    name = last["mpid"] or last["venue_name"]
    facts = [("Venue", name), ("Name", last["venue_name"]), *facts_of(history)]
    return Contents([*_charts(history, asked), *_symbols(asked, last["week_ending"])], facts, caveats_of(history))


def _charts(history: Result, asked: Asked) -> list[Section]:
    frame = history.frame.with_columns((pl.col("share") * 100).alias("latest"))
    first = readers.venue_history(**without(asked, "as_of"), vintage="first").frame
    published = first.select("week_ending", "tier", (pl.col("share") * 100).alias("first published"))
    shares = frame.join(published, on=["week_ending", "tier"], how="left").sort("week_ending")
    table = Columns(DATASETS["venue_history"], HISTORY, {"week_ending": _market}).table(frame.reverse(), TOP * 4)
    return [
        Section(
            "Share",
            "Part of its kind's volume, as known and as first published, in percent",
            lines(shares, "week_ending", ["latest", "first published"], "%", said=hundredths),
        ),
        Section(
            "Rank", "By volume within its kind", lines(frame, "week_ending", ["rank"], "rank", said=figures.number)
        ),
        Section(
            "Trade size",
            "Average shares of a trade",
            lines(frame, "week_ending", ["average_trade_size"], "shares a trade", said=tenths),
        ),
        Section("By week", DATASETS["venue_history"].meaning, None, table, "", downloads(history, asked)),
    ]


def _symbols(asked: Asked, week: date) -> list[Section]:
    """What it traded most in its newest week."""
    of_week = {**without(asked, "weeks", "tier"), "week_ending": str(week)}
    if asked["tier"] != ALL:
        of_week["tier"] = asked["tier"]
    rows = readers.rows(**of_week)
    most = rows.frame.sort("shares", descending=True)
    table = Columns(DATASETS["rows"], ROWS, {"symbol": _symbol}).table(most, TOP)
    sentences = revision_sentences(week, sorted({one.tier for one in rows.meta.inputs}))
    title = f"Largest symbols, week ending {week}"
    return [Section(title, "", None, table, "No row.", downloads(rows, of_week), sentences)]


def _market(record: Record) -> str:
    return market_links.of_market(record["week_ending"])


def _symbol(record: Record) -> str:
    return market_links.of_symbol(record["symbol"])


PAGE = MarketPage("market_venue", "Venue", "Is this venue growing, and in what?", Form, build)
