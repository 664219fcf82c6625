"""The page of a snapshot's symbols: the concentration of each within a scope and kind, largest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponseBase
from django.urls import reverse

from pipeline.admin.shared import downloads, figures
from pipeline.admin.shared.concentration import band_badge, effective_venues
from pipeline.admin.weeks.markets import Choice, Market
from pipeline.models import ALL_TIERS, AnalyticsSnapshot, Family, MarketConcentration
from pipeline.resilience.failures import sentence_of
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import symbols
from pipeline.weeks.symbols import SymbolConcentration

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class SymbolLine:
    """A security's concentration."""

    found: SymbolConcentration

    @property
    def figures(self) -> tuple[str, ...]:
        """Shares, trades, venues."""
        return figures.number(self.found.shares), figures.number(self.found.trades), figures.number(self.found.venues)

    @property
    def points(self) -> str:
        return figures.points(self.found.hhi_low, self.found.hhi_high)

    @property
    def effective(self) -> str:
        return effective_venues(self.found.hhi_low, self.found.hhi_high)

    @property
    def band(self) -> str:
        return band_badge(self.found.hhi_low, self.found.hhi_high)


def contents(snapshot: AnalyticsSnapshot, asked: Mapping[str, str]) -> dict[str, Any]:
    """The context of the page; with `trouble` in place of the symbols where their file cannot be read.

    `asked` is the query of the address: `scope` and `kind`, `symbol` (its beginning), `page`.
    """
    markets = _markets(snapshot)
    market, symbol = _chosen(markets, asked), asked.get("symbol", "").strip()
    context = {
        "choices": [Choice(one.name, one.query(symbol), one == market) for one in markets],
        "symbol": symbol,
        "market": market,
    }
    if market is None:
        return context
    try:
        return {**context, **_symbols(snapshot, market, symbol, asked.get("page"))}
    except (VintageDamaged, OSError) as error:
        return {**context, "trouble": sentence_of(error)}


def as_download(snapshot: AnalyticsSnapshot, asked: Mapping[str, str], form: str) -> HttpResponseBase:
    """All symbols of the page, as CSV or Parquet. VintageDamaged, StorageAway before anything is sent."""
    market = _chosen(_markets(snapshot), asked)
    if market is None:
        raise Http404(f"{snapshot} has no symbols: its captures have no rows")
    found = symbols.largest(snapshot, market.scope, market.family, asked.get("symbol", "").strip())
    name = f"symbols_{snapshot.week_ending}_s{snapshot.sequence}_{market.scope}_{market.family}"
    return downloads.FORMATS[form](name, found)


def _markets(snapshot: AnalyticsSnapshot) -> list[Market]:
    stored = MarketConcentration.objects.filter(snapshot=snapshot).values_list("scope", "family")
    return sorted((Market(*one) for one in stored), key=lambda market: market.place)


def _chosen(markets: list[Market], asked: Mapping[str, str]) -> Market | None:
    """The market asked for, if the snapshot has it; else all venues over all tiers, or the last that it has."""
    wanted = Market(asked.get("scope", ALL_TIERS), asked.get("kind", Family.ALL.value))
    return wanted if wanted in markets else next(reversed(markets), None)


def _symbols(snapshot: AnalyticsSnapshot, market: Market, symbol: str, page: str | None) -> dict[str, Any]:
    found = symbols.largest(snapshot, market.scope, market.family, symbol)
    pages = Paginator(range(found.height), PER_PAGE).get_page(page)
    shown = found.slice(pages.start_index() - 1, PER_PAGE) if pages else found
    return {
        "symbols": [SymbolLine(one) for one in symbols.listed(shown)],
        "page": pages,
        "total": figures.number(found.height),
        "query": market.query(symbol),
        "downloads": [(form, f"{_download(snapshot, form)}?{market.query(symbol)}") for form in downloads.FORMATS],
    }


def _download(snapshot: AnalyticsSnapshot, form: str) -> str:
    return reverse(f"admin:pipeline_analyticssnapshot_symbols_{form}", args=[snapshot.pk])
