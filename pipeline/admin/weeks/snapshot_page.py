"""The page of an analytics snapshot: inputs, market concentration, and the venues of one scope and kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import link
from pipeline.admin.shared.concentration import band_badge, effective_venues
from pipeline.admin.shared.lines import CaptureLine, acts_on
from pipeline.admin.shared.market_links import week_link
from pipeline.models import AnalyticsSnapshot, Family, MarketConcentration, VenueKind, VenueVolume
from pipeline.models.analytics import ALL_TIERS, SCOPES

PER_PAGE = 50
FAMILIES = list(Family.values)


@dataclass(frozen=True, slots=True)
class MarketLine:
    """The concentration of a market."""

    market: MarketConcentration

    @property
    def scope(self) -> str:
        return "all tiers" if self.market.scope == ALL_TIERS else str(self.market.scope)

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


@dataclass(frozen=True, slots=True)
class Choice:
    """A scope and kind that the table of venues can be of."""

    name: str
    query: str
    here: bool


def contents(snapshot: AnalyticsSnapshot, asked: Mapping[str, str]) -> dict[str, Any]:
    """The context of a snapshot's page: a dozen queries at most."""
    markets = sorted(MarketConcentration.objects.filter(snapshot=snapshot), key=_place)
    scope, kind = _chosen(markets, asked)
    manifest = getattr(snapshot, "manifest", None)
    inputs = snapshot.inputs.select_related("partition").order_by("partition__tier")
    return {
        "title": f"Analytics of {snapshot.week_ending}, snapshot {snapshot.sequence}",
        "week": week_link(snapshot.week_ending),
        "inputs": [CaptureLine(one, one.pk == one.partition.latest_id) for one in inputs],
        "markets": [MarketLine(market) for market in markets],
        "choices": _choices(markets, scope, kind),
        "venues": _venues(snapshot, scope, kind, asked.get("page")),
        "query": urlencode({"scope": scope, "kind": kind}),
        "manifest": link(manifest),
        "run": link(manifest.run, f"run {manifest.run_id}") if manifest else figures.NONE,
        "took": figures.seconds(manifest.duration) if manifest else figures.NONE,
        "acts": acts_on([("analyticssnapshot", [snapshot.pk])]),
    }


def _place(market: MarketConcentration) -> tuple[int, int]:
    """Tier by tier, then all tiers; ATS, non-ATS, both."""
    return SCOPES.index(market.scope), FAMILIES.index(market.family)


def _chosen(markets: list[MarketConcentration], asked: Mapping[str, str]) -> tuple[str, str]:
    """The scope and kind asked for, if the snapshot has them; else ATS over all tiers, or the first that it has."""
    had = [(market.scope, market.family) for market in markets if market.family != Family.ALL]
    wanted = (asked.get("scope", ALL_TIERS), asked.get("kind", VenueKind.ATS.value))
    return wanted if wanted in had else (had[0] if had else wanted)


def _choices(markets: list[MarketConcentration], scope: str, kind: str) -> list[Choice]:
    return [
        Choice(
            f"{MarketLine(market).scope}, {MarketLine(market).family}",
            urlencode({"scope": market.scope, "kind": market.family}),
            (market.scope, market.family) == (scope, kind),
        )
        for market in markets
        if market.family != Family.ALL
    ]


def _venues(snapshot: AnalyticsSnapshot, scope: str, kind: str, page: str | None) -> Page[Any]:
    """A page of the venues, by rank within their kind."""
    volumes = VenueVolume.objects.filter(snapshot=snapshot, scope=scope, venue_kind=kind)
    found: Page[Any] = Paginator(volumes.order_by("rank", "pk"), PER_PAGE).get_page(page)
    found.object_list = [VolumeLine(volume) for volume in found.object_list]
    return found
