"""A symbol: who trades it off exchange, is it concentrated, can its weeks be trusted."""

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
    asking,
    caveats_of,
    downloads,
    facts_of,
    revision_sentences,
    span_field,
    text_field,
    vintage_field,
    without,
)
from pipeline.admin.market.market import venue_of
from pipeline.admin.market.series import bars, lines, tenths, whole
from pipeline.admin.market.tables import Columns, Record
from pipeline.admin.shared import market_links
from pipeline.readers import DATASETS, ErrorKind, ReadersError, Result

TOP = 40
FOUND = ("symbol", "issue_name", "spelling", "first_week", "last_week", "tiers")
HISTORY = (
    "week_ending",
    "ats_shares",
    "non_ats_shares",
    "shares",
    "ats_ratio",
    "trades",
    "average_trade_size",
    "venues_ats",
    "venues_non_ats",
    "hhi_ats",
    "effective_venues_ats",
    "tier_changed",
    "restated",
)
VENUES = ("mpid", "venue_name", "venue_kind", "tier", "shares", "share", "trades", "average_trade_size")
VERSIONS = (
    "mpid",
    "venue_name",
    "tier",
    "shares",
    "trades",
    "last_update_date",
    "first_version",
    "last_version",
    "known_from",
    "known_to",
)


class Form(MarketForm):
    """A symbol as FINRA writes it."""

    symbol = text_field("Symbol", "as FINRA writes it, such as BRK.B", longest=40)
    weeks = span_field()
    week_ending = text_field("Week for the venues", "a Friday; empty: the newest", longest=10)
    as_of = as_of_field()
    vintage = vintage_field()


def build(asked: Asked) -> Contents:
    """Its volume by week and kind, its concentration, who traded it in one week, and every version of that week's rows."""
    if "symbol" not in asked:
        return asking("Which symbol? Write it as FINRA does; other spellings are found.")
    over = {"weeks": "13", **without(asked, "week_ending")}
    try:
        history = readers.symbol_history(**over, tier=ALL)
        frame = history.frame
    except ReadersError as error:
        if error.kind is ErrorKind.UNKNOWN_SYMBOL:
            return _similar(asked["symbol"], error)
        raise
    if frame.is_empty():
        return Contents([Section("By week", empty=f"Nothing: {history.empty_because}.")], facts_of(history))
    last = frame.row(-1, named=True)
    week = asked.get("week_ending") or last["week_ending"].isoformat()
    facts = [("Symbol", f"{last['symbol']}, {last['issue_name']}"), *facts_of(history)]
    sections = [*_charts(history, {**over, "tier": ALL}), *_week(asked, week)]
    return Contents(sections, facts, caveats_of(history))


def _similar(symbol: str, error: ReadersError) -> Contents:
    """Other spellings of what is no symbol of FINRA's."""
    found = readers.symbols(q=symbol, top=TOP)
    table = Columns(DATASETS["symbols"], FOUND, {"symbol": symbol_of}).table(found.frame, TOP)
    return Contents([Section("Did you mean", f"{error.detail}", None, table, "No symbol and no issue is called so.")])


def symbol_of(record: Record) -> str:
    """The page of a record's symbol."""
    return market_links.of_symbol(record["symbol"])


def _charts(history: Result, over: Asked) -> list[Section]:
    frame = history.frame
    shares = frame.select(
        "week_ending",
        pl.col("ats_shares").cast(pl.Float64).alias("ATS"),
        pl.col("non_ats_shares").cast(pl.Float64).alias("non-ATS"),
    )
    effective = frame.select("week_ending", pl.col("effective_venues_ats").alias("ATSs, as many of equal size"))
    links = {
        "week_ending": lambda record: market_links.of_symbol(record["symbol"], week_ending=str(record["week_ending"]))
    }
    columns = Columns(DATASETS["symbol_history"], HISTORY, links)
    return [
        Section(
            "Volume",
            "Off exchange, by week; shares are not adjusted for splits",
            bars(shares, "week_ending", ["ATS", "non-ATS"], "shares", said=whole),
        ),
        Section(
            "Concentration",
            "How many ATSs of equal size would be as concentrated",
            lines(effective, "week_ending", effective.columns[1:], "venues", said=tenths),
        ),
        Section(
            "By week",
            DATASETS["symbol_history"].meaning,
            None,
            columns.table(frame.reverse(), TOP * 4),
            "No week.",
            downloads(history, over),
        ),
    ]


def _week(asked: Asked, week: str) -> list[Section]:
    """Who traded it in one week, and the versions of those rows."""
    of_week = {**without(asked, "weeks"), "week_ending": week}
    split = readers.symbol_venues(**of_week)
    versions = {"week_ending": week, "symbol": asked["symbol"]}
    history = readers.row_history(**versions)
    links = {"mpid": venue_of, "venue_name": venue_of}
    venues = Columns(DATASETS["symbol_venues"], VENUES, links).table(split.frame.sort("shares", descending=True), TOP)
    rows = Columns(DATASETS["row_history"], VERSIONS, links).table(history.frame, TOP)
    sentences = (
        revision_sentences(split.meta.inputs[0].week_ending, split.frame["tier"].unique().sort().to_list())
        if split.meta.inputs
        else ()
    )
    return [
        Section(f"Venues, week ending {week}", "", None, venues, "No row.", downloads(split, of_week), sentences),
        Section(
            f"Every version of these rows, week ending {week}",
            "Known from, known to: empty where it is known still",
            None,
            rows,
            "No row.",
            downloads(history, versions),
        ),
    ]


PAGE = MarketPage(
    "market_symbol",
    "Symbol",
    "Who trades it off exchange, is it concentrated, and can its weeks be trusted?",
    Form,
    build,
)
