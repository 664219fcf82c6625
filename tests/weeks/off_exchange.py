"""Venue shares and concentration computed from the text of the files alone, and compared with what the product stores.

`Market` and `hhi` are plain Python and `decimal`, and use none of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import PartName
from pipeline.finra.sources.files.file_names import file_name
from pipeline.models import ALL_TIERS, AnalyticsSnapshot, Family, MarketConcentration, VenueKind, VenueVolume
from pipeline.weeks import symbols

POOL = "De Minimis Firms"
CLOSE = 1e-12
SCOPES = {**{tier.value: (tier,) for tier in Tier}, ALL_TIERS: tuple(Tier)}
PARTS = {Family.ATS: (PartName.ATS,), Family.NON_ATS: (PartName.NON_ATS,), Family.ALL: tuple(PartName)}


def _volumes() -> dict[str, Decimal]:
    return defaultdict(Decimal)


@dataclass
class Market:
    """Shares and trades by venue, and shares by security and venue, of the files added."""

    shares: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    trades: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cells: dict[tuple[str, str], dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )

    def add(self, *files: bytes) -> Market:
        """Add the rows of FINRA's web files. A venue is its MPID or, without one, its name."""
        for file in files:
            for line in file.decode().splitlines()[1:]:
                _, symbol, issue, name, mpid, shares, trades, _ = line.split("|")
                venue = mpid or name
                self.shares[venue] += Decimal(shares)
                self.trades[venue] += int(trades)
                self.cells[symbol, issue][venue] += Decimal(shares)
        return self

    @property
    def total(self) -> Decimal:
        """All shares."""
        return sum(self.shares.values(), Decimal(0))

    def share(self, venue: str) -> Decimal:
        """A venue's share of the volume, 0-1."""
        return self.shares[venue] / self.total


def hhi(volumes: Iterable[tuple[str, Decimal]]) -> tuple[Decimal, Decimal]:
    """The sum of squared shares, 0-1: with the pool as infinitely many firms, and with the pool as one firm."""
    with localcontext(prec=60):
        pairs = list(volumes)
        total = sum((volume for _, volume in pairs), Decimal(0))
        named = sum((volume * volume for venue, volume in pairs if venue != POOL), Decimal(0))
        pooled = sum((volume * volume for venue, volume in pairs if venue == POOL), Decimal(0))
        return named / total**2, (named + pooled) / total**2


def market(root: Path, week: date, scope: str, family: Family) -> Market:
    """The market that a figure covers, from the files of a source folder."""
    paths = [root / file_name(PartitionKey(week, tier), part) for tier in SCOPES[scope] for part in PARTS[family]]
    return Market().add(*(path.read_bytes() for path in paths if path.exists()))


def check_venues(week: date, scope: str, family: Family, expected: Market) -> None:
    """Each venue's volume, share and rank, within a kind or over both."""
    stored = VenueVolume.objects.filter(snapshot__week_ending=week, scope=scope)
    of_family = stored if family is Family.ALL else stored.filter(venue_kind=VenueKind(family.value))
    found = {volume.venue: volume for volume in of_family}
    assert found.keys() == expected.shares.keys()
    for venue, volume in found.items():
        share, rank = _share_and_rank(volume, family)
        assert (volume.shares, volume.trades) == (expected.shares[venue], expected.trades[venue])
        assert share == pytest.approx(float(expected.share(venue)), rel=CLOSE)
        assert rank == 1 + sum(1 for shares in expected.shares.values() if shares > expected.shares[venue])


def _share_and_rank(volume: VenueVolume, family: Family) -> tuple[float | None, int | None]:
    both = family is Family.ALL
    return (volume.share_of_all, volume.rank_of_all) if both else (volume.share, volume.rank)


def check_market(week: date, scope: str, family: Family, expected: Market) -> None:
    """The concentration of the market."""
    found = MarketConcentration.objects.get(snapshot__week_ending=week, scope=scope, family=family)
    assert (found.shares, found.trades) == (expected.total, sum(expected.trades.values()))
    assert (found.venues, found.symbols) == (len(expected.shares), len(expected.cells))
    assert (found.hhi_low, found.hhi_high) == pytest.approx(_floats(hhi(expected.shares.items())), rel=CLOSE)


def check_symbols(week: date, scope: str, family: Family, expected: Market) -> None:
    """The concentration of every security."""
    snapshot = AnalyticsSnapshot.objects.get(week_ending=week)
    stored = symbols.listed(symbols.largest(snapshot, scope, family))
    found = {(each.symbol, each.issue_name): each for each in stored}
    assert found.keys() == expected.cells.keys()
    for key, each in found.items():
        volumes = expected.cells[key]
        assert (each.shares, each.venues) == (sum(volumes.values()), len(volumes))
        assert (each.hhi_low, each.hhi_high) == pytest.approx(_floats(hhi(volumes.items())), rel=CLOSE, abs=1e-15)


def _floats(pair: tuple[Decimal, Decimal]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
