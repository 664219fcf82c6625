"""The page of an analytics snapshot: inputs, market concentration, and the venues of one scope and kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import link
from pipeline.admin.shared.concentration import band_badge, effective_venues
from pipeline.admin.shared.lines import CaptureLine, acts_on
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.weeks.markets import Choice, Market
from pipeline.models import AnalyticsSnapshot, Family, MarketConcentration, VenueKind, VenueVolume
from pipeline.models.analytics import ALL_TIERS

PER_PAGE = 50
FAMILIES = list(Family.values)


@dataclass(frozen=True, slots=True)
class MarketLine:
    """The concentration of a market."""

    market: MarketConcentration

    @property
    def scope(self) -> str:
        return _market(self.market).scope_name

    @property
    def family(self) -> str:
        return str(Family(self.market.family).label)

    @property
    def figures(self) -> tuple[str, ...]:
        """Shares, trades, symbols, venues."""
        one = self.market
        return tuple(map(figures.number, (one.shares, one.trades, one.symbols, one.venues)))

    @property
    def points(self) -> str:
        return figures.points(self.market.hhi_low, self.market.hhi_high)

    @property
    def effective(self) -> str:
        return effective_venues(self.market.hhi_low, self.market.hhi_high)

    @property
    def band(self) -> str:
        return band_badge(self.market.hhi_low, self.market.hhi_high)


@dataclass(frozen=True, slots=True)
class VolumeLine:
    """A venue's volume within the scope."""

    volume: VenueVolume

    @property
    def figures(self) -> tuple[str, ...]:
        """Shares, its share within its kind and of all, trades, average trade, symbols."""
        one = self.volume
        average = figures.NONE if one.average_trade_size is None else f"{one.average_trade_size:,.1f}"
        return (
            figures.number(one.shares),
            figures.percent(one.share),
            figures.percent(one.share_of_all),
            figures.number(one.trades),
            average,
            figures.number(one.symbols),
        )


def contents(snapshot: AnalyticsSnapshot, asked: Mapping[str, str]) -> dict[str, Any]:
    """The context of a snapshot's page: a dozen queries at most."""
    markets = sorted(MarketConcentration.objects.filter(snapshot=snapshot), key=lambda one: _market(one).place)
    had = [_market(market) for market in markets if market.family != Family.ALL]
    chosen = _chosen(had, asked)
    manifest = getattr(snapshot, "manifest", None)
    inputs = snapshot.inputs.select_related("partition").order_by("partition__tier")
    return {
        "title": f"Analytics of {snapshot.week_ending}, snapshot {snapshot.sequence}",
        "week": week_link(snapshot.week_ending),
        "inputs": [CaptureLine(one, one.pk == one.partition.latest_id) for one in inputs],
        "markets": [MarketLine(market) for market in markets],
        "choices": [Choice(one.name, one.query(), one == chosen) for one in had],
        "venues": _venues(snapshot, chosen, asked.get("page")),
        "query": chosen.query(),
        "manifest": link(manifest),
        "run": link(manifest.run, f"run {manifest.run_id}") if manifest else figures.NONE,
        "took": figures.seconds(manifest.duration) if manifest else figures.NONE,
        "acts": acts_on([("analyticssnapshot", [snapshot.pk])]),
    }


def _market(found: MarketConcentration) -> Market:
    return Market(found.scope, found.family)


def _chosen(had: list[Market], asked: Mapping[str, str]) -> Market:
    """The scope and kind asked for, if the snapshot has them; else ATS over all tiers, or the first that it has."""
    wanted = Market(asked.get("scope", ALL_TIERS), asked.get("kind", VenueKind.ATS.value))
    return wanted if wanted in had else (had[0] if had else wanted)


def _venues(snapshot: AnalyticsSnapshot, market: Market, page: str | None) -> Page[Any]:
    """A page of the venues, by rank within their kind."""
    volumes = VenueVolume.objects.filter(snapshot=snapshot, scope=market.scope, venue_kind=market.family)
    found: Page[Any] = Paginator(volumes.order_by("rank", "pk"), PER_PAGE).get_page(page)
    found.object_list = [VolumeLine(volume) for volume in found.object_list]
    return found
