"""A week's figures computed a second time: plain Python over rows, exact fractions, nothing of the product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

TIERS = ("NMS_TIER_1", "NMS_TIER_2", "OTC")
KINDS = ("ATS", "NON_ATS")
POOL = "De Minimis Firms"
Row = dict[str, Any]
VenueKey = tuple[str, str, str, str]  # kind, MPID, CRD, firm


@dataclass(frozen=True, slots=True)
class Concentration:
    """Of a market or a security: exact, HHI as fractions."""

    shares: Decimal
    trades: int
    venues: int
    hhi_low: Fraction | None
    hhi_high: Fraction | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A venue's week."""

    shares: Decimal
    trades: int
    symbols: int
    notional: Decimal | None
    share: Fraction | None
    rank: int


def venue_of(row: Row) -> VenueKey:
    """An ATS is its MPID and CRD, a firm its CRD and name."""
    return row["venue_kind"], row["mpid"], row["crd"], row["venue_name"] if row["venue_kind"] == "NON_ATS" else ""


def scopes_of(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each scope and family that has results."""
    found: dict[tuple[str, str], list[Row]] = {}
    for kind in KINDS:
        for tier in TIERS:
            if of_tier := [row for row in rows if (row["tier"], row["venue_kind"]) == (tier, kind)]:
                found[tier, kind] = of_tier
        if all((tier, kind) in found for tier in TIERS):
            found["ALL", kind] = [row for row in rows if row["venue_kind"] == kind]
    for scope in (*TIERS, "ALL"):
        if all((scope, kind) in found for kind in KINDS):
            found[scope, "ALL"] = [row for kind in KINDS for row in found[scope, kind]]
    return found


def concentration(rows: Iterable[Row]) -> Concentration:
    """The concentration over the venues of the rows."""
    shares: dict[VenueKey, Decimal] = defaultdict(Decimal)
    trades = 0
    for row in rows:
        shares[venue_of(row)] += row["shares"]
        trades += row["trades"]
    total = sum(shares.values(), Decimal(0))
    squares = {venue: Fraction(volume) ** 2 for venue, volume in shares.items()}
    named = sum((square for venue, square in squares.items() if not is_pool(venue)), Fraction(0))
    whole = Fraction(total) ** 2
    low, high = (named / whole, sum(squares.values(), Fraction(0)) / whole) if whole else (None, None)
    return Concentration(total, trades, len(shares), low, high)


def is_pool(venue: VenueKey) -> bool:
    """Whether it stands for all firms below the threshold."""
    return venue[0] == "NON_ATS" and venue[3] == POOL


def volumes(rows: Iterable[Row]) -> dict[VenueKey, Volume]:
    """Each venue's volume, share and rank among the rows."""
    of_venue: dict[VenueKey, list[Row]] = defaultdict(list)
    for row in rows:
        of_venue[venue_of(row)].append(row)
    shares = {venue: sum((row["shares"] for row in own), Decimal(0)) for venue, own in of_venue.items()}
    total = sum(shares.values(), Decimal(0))
    return {
        venue: Volume(
            shares=shares[venue],
            trades=sum(row["trades"] for row in own),
            symbols=len({(row["symbol"], row["issue_name"]) for row in own}),
            notional=_notional(own),
            share=Fraction(shares[venue]) / Fraction(total) if total else None,
            rank=1 + sum(1 for other in shares.values() if other > shares[venue]),
        )
        for venue, own in of_venue.items()
    }


def _notional(rows: list[Row]) -> Decimal | None:
    given: list[Decimal] = [row["notional"] for row in rows if row["notional"] is not None]
    return sum(given, Decimal(0)) if len(given) == len(rows) else None


def by_security(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each symbol under one issue name."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["symbol"], row["issue_name"]].append(row)
    return found
