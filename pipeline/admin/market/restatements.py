"""Restatements: what changed, and whether it matters."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from pipeline import readers
from pipeline.admin.market.frame import (
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    caveats_of,
    downloads,
    text_field,
    tier_field,
    without,
)
from pipeline.admin.market.market import venue_of
from pipeline.admin.market.series import bars
from pipeline.admin.market.symbol_week import symbol_of
from pipeline.admin.market.tables import Columns, Record
from pipeline.admin.shared import figures, market_links
from pipeline.admin.shared.base import page_url
from pipeline.finra.calendar import market_today
from pipeline.models import Capture, Cause
from pipeline.readers import DATASETS, Result

DAYS = 28
TOP, MOST = 25, 200
FEED = (
    "position",
    "occurred_at",
    "week_ending",
    "tier",
    "age_days",
    "rows_added",
    "rows_changed",
    "rows_removed",
    "gross_change_ratio",
    "largest_share_move_bp",
    "rank_changes_top10",
    "cause",
    "capture_id",
)
BY_SYMBOL = (
    "symbol",
    "issue_name",
    "restatements",
    "rows_added",
    "rows_changed",
    "rows_removed",
    "gross_change",
    "net_change",
)
BY_VENUE = ("mpid", "venue_name", "venue_kind", *BY_SYMBOL[2:])


class Form(MarketForm):
    """A period by the days on which it became known, a tier, a cause."""

    from_day = text_field("From", f"a day; empty: {DAYS} days back", longest=10)
    to_day = text_field("To", "a day; empty: today", longest=10)
    tier = tier_field()
    cause = text_field("Cause", ", ".join(cause.value for cause in Cause), longest=40)


def build(asked: Asked) -> Contents:
    """The entries of the feed, and what FINRA's restatements of the period moved by symbol and by venue."""
    period = {"from_day": (market_today() - timedelta(days=DAYS)).isoformat(), **without(asked, "tier")}
    if asked.get("tier") not in (None, "ALL"):
        period["tier"] = asked["tier"]
    feed = readers.restatements(**period)
    moved = without(period, "cause")
    symbols, venues = readers.restated_symbols(**moved), readers.restated_venues(**moved)
    found = feed.frame
    facts = [
        ("From", period["from_day"]),
        ("To", period.get("to_day", "today")),
        ("Restatements", figures.number(found.height)),
        ("Position of the feed", figures.number(feed.meta.facts.high_water)),
    ]
    sections = [*_weekly(found), _feed(feed, period), _by_symbol(symbols, moved), _by_venue(venues, moved)]
    return Contents(sections, facts, caveats_of(symbols, venues))


def _weekly(found: pl.DataFrame) -> list[Section]:
    """How many became known each week."""
    if found.is_empty():
        return []
    weeks = pl.col("occurred_at").dt.date().dt.truncate("1w").cast(pl.String).alias("week of")
    counted = found.group_by(weeks).agg(pl.len().alias("restatements")).sort("week of")
    drawn = bars(counted, "week of", ["restatements"], "restatements", said=figures.number)
    return [Section("When they became known", "Restatements by the Monday of the week", drawn)]


def _feed(feed: Result, period: Asked) -> Section:
    newest = feed.frame.reverse()
    pages = {capture.capture_id: page_url(capture) for capture in _captures(newest["capture_id"].head(MOST).to_list())}

    def capture(record: Record) -> str:
        return pages.get(record["capture_id"], "")

    links = {"capture_id": capture, "position": capture, "week_ending": _market}
    table = Columns(DATASETS["restatements"], FEED, links).table(newest, MOST)
    lead = "The newest first. A poller keeps the position, and asks the API with after="
    return Section("The feed", lead, None, table, "Nothing was restated in the period.", downloads(feed, period))


def _captures(ids: list[str]) -> list[Capture]:
    return list(Capture.objects.filter(capture_id__in=ids))


def _market(record: Record) -> str:
    return market_links.of_market(record["week_ending"])


def _by_symbol(symbols: Result, asked: Asked) -> Section:
    most = symbols.frame.sort("gross_change", descending=True)
    table = Columns(DATASETS["restated_symbols"], BY_SYMBOL, {"symbol": symbol_of}).table(most, TOP)
    lead = "What FINRA's restatements of the period moved; forced, annulled and parsed captures are left out"
    return Section("By symbol", lead, None, table, "No symbol moved.", downloads(symbols, asked))


def _by_venue(venues: Result, asked: Asked) -> Section:
    most = venues.frame.sort("gross_change", descending=True)
    links = {"mpid": venue_of, "venue_name": venue_of}
    table = Columns(DATASETS["restated_venues"], BY_VENUE, links).table(most, TOP)
    return Section("By venue", "The same, by venue", None, table, "No venue moved.", downloads(venues, asked))


PAGE = MarketPage("market_restatements", "Restatements", "What changed, and does it matter?", Form, build)
