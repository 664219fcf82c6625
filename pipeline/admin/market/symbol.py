"""A symbol: who trades it off exchange, is it concentrated, can its weeks be trusted."""

from __future__ import annotations

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
    kind_field,
    rows_behind,
    span_field,
    text_field,
    vintage_field,
    week_field,
    without,
)
from pipeline.admin.market.symbol_charts import charts
from pipeline.admin.market.symbol_week import at_two, over_weeks, symbol_of, venues_of, versions_of
from pipeline.admin.market.tables import Columns, brief, entries
from pipeline.admin.shared import market_links
from pipeline.readers import DATASETS, ErrorKind, ReadersError, Result

TOP, MOST = 40, 160
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
TILES = (
    ("Shares", "shares"),
    ("ATS part", "ats_ratio"),
    ("HHI of ATSs", "hhi_ats"),
    ("Effective ATSs", "effective_venues_ats"),
    ("Trade size", "average_trade_size"),
)


class Form(MarketForm):
    """A symbol as FINRA writes it."""

    symbol = text_field("Symbol", "as FINRA writes it, such as BRK.B", longest=40)
    weeks = span_field()
    week_ending = week_field("Week for the venues", "empty: the newest")
    venue_kind = kind_field("Kind of the venues")
    against = text_field("Compare with", "first, a day or an instant", longest=40)
    as_of = as_of_field()
    vintage = vintage_field()


def build(asked: Asked) -> Contents:
    """Its figures and charts by week, who traded it in one week, and every version of that week's rows."""
    if "symbol" not in asked:
        return asking("Which symbol? Write it as FINRA does; other spellings are found.")
    over = {"weeks": "13", **without(asked, "week_ending", "venue_kind", "against")}
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
    of_week = {**without(asked, "weeks", "against"), "week_ending": week}
    by_venue = {**over, **_only(asked, "venue_kind")}
    venues = readers.symbol_venues(**by_venue)
    sections = [
        *charts(frame),
        *(at_two(over, asked["against"]) if "against" in asked else ()),
        venues_of(of_week, venues),
        *over_weeks(venues, by_venue),
        versions_of(of_week),
        _weekly(history, {**over, "tier": ALL}),
    ]
    facts = [("Symbol", f"{last['symbol']}, {last['issue_name']}"), *facts_of(history)]
    tiles = [Tile("Symbol", last["symbol"], last["issue_name"]), *_tiles(history)]
    chips = chips_of(last["week_ending"], history)
    return Contents(sections, facts, caveats_of(history), chips, tiles, history.meta.as_of, last["symbol"])


def _only(asked: Asked, name: str) -> Asked:
    return {name: asked[name]} if name in asked else {}


def _similar(symbol: str, error: ReadersError) -> Contents:
    """Other spellings of what is no symbol of FINRA's."""
    found = readers.symbols(q=symbol, top=TOP)
    table = Columns(DATASETS["symbols"], FOUND, {"symbol": symbol_of}).table(found.frame, TOP)
    return Contents([Section("Did you mean", f"{error.detail}", None, table, "No symbol and no issue is called so.")])


def _tiles(history: Result) -> list[Tile]:
    """The figures of its newest week."""
    last = history.frame.row(-1, named=True)
    return [
        Tile(
            title,
            brief(name, last[name]),
            f"week {last['week_ending']}",
            entries(DATASETS["symbol_history"], name)[0],
        )
        for title, name in TILES
    ]


def _weekly(history: Result, over: Asked) -> Section:
    links = {
        "week_ending": lambda record: market_links.of_symbol(record["symbol"], week_ending=str(record["week_ending"])),
        "shares": rows_behind(history, over),
    }
    table = Columns(DATASETS["symbol_history"], HISTORY, links).table(history.frame.reverse(), MOST)
    return Section(
        "By week", DATASETS["symbol_history"].meaning, None, table, "No week.", downloads(history, over), folded=True
    )


PAGE = MarketPage(
    "market_symbol",
    "Symbol",
    "Who trades it off exchange, is it concentrated, and can its weeks be trusted?",
    Form,
    build,
)
