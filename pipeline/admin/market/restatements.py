"""Restatements: what changed, and whether it matters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
from django import forms
from django.urls import reverse

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    Download,
    MarketForm,
    MarketPage,
    Section,
    Tile,
    caveats_of,
    day_field,
    downloads,
    text_field,
    tier_field,
    without,
)
from pipeline.admin.market.restatement_charts import by_age, by_week
from pipeline.admin.market.tables import Columns, Record, entries
from pipeline.admin.shared import figures, market_links
from pipeline.finra.calendar import market_today
from pipeline.models import Capture, Cause
from pipeline.readers import DATASETS, Result

DAYS = 28
TOP, MOST, MOST_SYMBOLS = 25, 200, 50
OF_PAGE = ("min_effect", "symbols")  # which the readers' feed does not take
EFFECTS = [("", "any"), ("0.0001", "0.01 %"), ("0.001", "0.1 %"), ("0.01", "1 %")]
CAUSES = [("", "any"), *((cause.value, cause.value) for cause in Cause)]
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
MOVES = ("restatements", "rows_added", "rows_changed", "rows_removed", "gross_change", "net_change")
BY_SYMBOL = ("symbol", "issue_name", *MOVES)
BY_VENUE = ("mpid", "venue_name", "venue_kind", *MOVES)
VERDICTS = ("week_ending", "use", "state", "since", "restated_since_ready")


class Form(MarketForm):
    """A period by the days on which it became known, a tier, a cause, how much moved, one's own symbols."""

    from_day = day_field("From", f"empty: {DAYS} days back")
    to_day = day_field("To", "empty: today")
    tier = tier_field()
    cause = forms.ChoiceField(required=False, choices=CAUSES)
    min_effect = forms.ChoiceField(required=False, choices=EFFECTS, label="Shares moved, at least")
    symbols = text_field("My symbols", "with commas: only what touched one of them", longest=400)


def build(asked: Asked) -> Contents:
    """The entries of the feed, and what FINRA's restatements of the period moved by symbol and by venue."""
    period = {"from_day": (market_today() - timedelta(days=DAYS)).isoformat(), **without(asked, "tier", *OF_PAGE)}
    if asked.get("tier") not in (None, ALL):
        period["tier"] = asked["tier"]
    mine = {"symbol": _symbols(asked)} if asked.get("symbols") else {}
    feed, moved = readers.restatements(**period), {**without(period, "cause"), **mine}
    symbols, venues = readers.restated_symbols(**moved), readers.restated_venues(**moved)
    touched = symbols.frame["capture_ids"].explode().drop_nulls().unique() if mine else None
    shown = _wanted(feed.frame, asked.get("min_effect"), touched)
    sections = [*_charts(shown), _feed(feed, shown, period), *_verdicts(shown)]
    sections += [_by_symbol(symbols, moved), _by_venue(venues, moved), _following(feed)]
    return Contents(sections, (), caveats_of(symbols, venues), tiles=_tiles(feed, shown, period, symbols))


def _symbols(asked: Asked) -> list[str]:
    words = (word.strip() for word in str(asked["symbols"]).split(","))
    return list(dict.fromkeys(word for word in words if word))[:MOST_SYMBOLS]


def _wanted(feed: pl.DataFrame, least: str | None, touched: pl.Series | None) -> pl.DataFrame:
    """The entries that moved enough, and touched one's own symbols."""
    found = feed.filter(pl.col("gross_change_ratio") >= float(least)) if least else feed
    return found if touched is None else found.filter(pl.col("capture_id").is_in(touched.implode()))


def _tiles(feed: Result, shown: pl.DataFrame, period: Asked, symbols: Result) -> list[Tile]:
    """How many, how much the largest moved, of how many symbols."""
    dataset, largest = DATASETS["restatements"], shown["gross_change_ratio"].max()
    [of_change] = entries(dataset, "gross_change_ratio")
    by_finra = shown.filter(pl.col("cause") == Cause.SOURCE).height
    days = f"{period['from_day']} to {period.get('to_day', 'today')}"
    return [
        Tile("Restatements", figures.number(shown.height), f"{figures.number(by_finra)} by FINRA; {days}"),
        Tile("Most shares moved", figures.percent(largest), "of a partition", of_change),  # type: ignore[arg-type] # a float
        Tile("Symbols restated by FINRA", figures.number(symbols.total)),
        Tile("Position of the feed", figures.number(feed.meta.facts.high_water), "what a poller keeps"),
    ]


def _charts(shown: pl.DataFrame) -> list[Section]:
    if shown.is_empty():
        return []
    return [
        Section(
            "How much moved at which age",
            "A circle for each restatement, as large as its rows; age counts from the due date",
            by_age(shown),
            entries=entries(DATASETS["restatements"], "gross_change_ratio", "age_days"),
            narrow=True,
        ),
        Section("When they became known", "Restatements by the Monday of the week", by_week(shown), narrow=True),
    ]


def _feed(feed: Result, shown: pl.DataFrame, period: Asked) -> Section:
    newest = shown.reverse()
    found = Capture.objects.filter(capture_id__in=newest["capture_id"].head(MOST).to_list())
    keys = {one.capture_id: one.pk for one in found}

    def page(name: str) -> Callable[[Record], str]:
        return lambda record: reverse(f"admin:pipeline_capture_{name}", args=[keys[record["capture_id"]]])

    rows = dict.fromkeys(("rows_added", "rows_changed", "rows_removed"), page("difference"))
    moved = dict.fromkeys(("gross_change_ratio", "largest_share_move_bp", "rank_changes_top10"), page("movement"))
    links = {"capture_id": page("change"), "week_ending": _market, **rows, **moved}
    table = Columns(DATASETS["restatements"], FEED, links).table(newest, MOST)
    lead = "The newest first. Counts lead to the rows, what moved to venue shares and HHI before and after"
    if shown.height < feed.frame.height:
        lead = f"{lead}. {shown.height} of {feed.frame.height} of the period; the files have all of them"
    return Section("The feed", lead, None, table, "Nothing of that kind was restated.", downloads(feed, period))


def _market(record: Record) -> str:
    return market_links.of_market(record["week_ending"])


def _verdicts(shown: pl.DataFrame) -> list[Section]:
    """What the weeks that were restated may be used for now, and whether they were READY before they changed."""
    weeks = [f"{week}" for week in shown["week_ending"].unique().sort(descending=True).head(TOP).to_list()]
    if not weeks:
        return []
    found = readers.readiness(week_ending=weeks)
    newest = found.frame.sort("week_ending", "use", descending=[True, False])
    table = Columns(DATASETS["readiness"], VERDICTS, {"week_ending": _market}).table(newest, TOP * 3)
    lead = "What these weeks may be used for now, and whether rows changed since a week became what it is"
    return [Section("Readiness", lead, None, table, "", downloads(found, {"week_ending": weeks}), folded=True)]


def _by_symbol(symbols: Result, asked: Asked) -> Section:
    links = {"symbol": lambda record: market_links.of_symbol(record["symbol"])}
    table = Columns(DATASETS["restated_symbols"], BY_SYMBOL, links).table(symbols.frame, TOP)
    lead = "What FINRA's restatements of the period moved; forced, annulled and parsed captures are left out"
    return Section("By symbol", lead, None, table, "No symbol moved.", downloads(symbols, asked))


def _by_venue(venues: Result, asked: Asked) -> Section:
    links = dict.fromkeys(("mpid", "venue_name"), _venue)
    table = Columns(DATASETS["restated_venues"], BY_VENUE, links).table(venues.frame, TOP)
    return Section("By venue", "The same, by venue", None, table, "No venue moved.", downloads(venues, asked))


def _venue(record: Record) -> str:
    return market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])


def _following(feed: Result) -> Section:
    """How a program goes on from here."""
    position = feed.meta.facts.high_water
    address = f"{reverse('api_restatements')}?after={position}"
    told = (
        f"What becomes known from now on is behind position {position}: GET {address} with a token. Keep next_after of the "
        "answer, and ask again with it: each restatement is told once, whatever commits late.",
    )
    ways = (Download("Feed from here", "rss_feed", address),)
    return Section("Following the feed", sentences=told, downloads=ways)


PAGE = MarketPage("market_restatements", "Restatements", "What changed, and does it matter?", Form, build)
