"""Venue shares and concentration computed from the text of the files alone: plain Python, `decimal`, none of the product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

POOL = "De Minimis Firms"


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
