"""The invented market that sample publications are drawn from: venues, firms and securities of a tier, stable over weeks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from string import ascii_uppercase

from pipeline.finra.calendar import Tier

FIRST = (
    *("Amber", "Birch", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Harbor"),
    *("Indigo", "Juniper", "Kestrel", "Lumen", "Meadow", "Nimbus", "Onyx", "Prairie"),
)
SECOND = (
    *("Analytics", "Biologics", "Capital", "Devices", "Energy", "Foods"),
    *("Genomics", "Holdings", "Industries", "Logistics", "Materials", "Networks"),
)
ISSUES = ("Common Stock", "Class A Common Stock", "Ordinary Shares", "Unsponsored ADR (Cayman Islands)", "ETF Trust")
POOL = "De Minimis Firms"


class Size(Enum):
    """How many securities a tier has: `real` gives about 72,000, 168,000 and 24,000 rows a week, `small` a 200th."""

    SMALL = "small"
    REAL = "real"


SECURITIES = {
    Size.REAL: {Tier.NMS_TIER_1: 1_770, Tier.NMS_TIER_2: 6_530, Tier.OTC: 4_110},
    Size.SMALL: {Tier.NMS_TIER_1: 9, Tier.NMS_TIER_2: 31, Tier.OTC: 20},
}
VENUES = {Tier.NMS_TIER_1: 40, Tier.NMS_TIER_2: 40, Tier.OTC: 9}
ATS_BREADTH = {Tier.NMS_TIER_1: 28.0, Tier.NMS_TIER_2: 8.5, Tier.OTC: 0.75}  # more: more venues trade a security
FIRM_BREADTH = {Tier.NMS_TIER_1: 2.1, Tier.NMS_TIER_2: 0.75, Tier.OTC: 0.12}
FIRMS = {Tier.NMS_TIER_1: 60, Tier.NMS_TIER_2: 60, Tier.OTC: 25}


@dataclass(frozen=True, slots=True)
class SampleSecurity:
    """A security; `shares` is the volume of a typical week, ATS and non-ATS."""

    symbol: str
    issue_name: str
    shares: float


@dataclass(frozen=True, slots=True)
class SampleVenue:
    """An ATS, or a firm (without MPID); `weight` is its share of a typical security's volume, before scaling."""

    mpid: str
    name: str
    weight: float


@lru_cache(maxsize=16)
def securities(tier: Tier, size: Size, seed: int) -> tuple[SampleSecurity, ...]:
    """The securities of a tier, with log-normal volumes, in the order of their symbols."""
    rng = random.Random(f"{seed}|securities|{tier}|{size.value}")
    chosen = {(symbol, issue) for symbol, issue in _peculiar(tier)}
    symbols = {symbol for symbol, _ in chosen}
    while len(chosen) < SECURITIES[size][tier]:
        symbol = _symbol(rng, tier)
        if symbol not in symbols:
            symbols.add(symbol)
            chosen.add((symbol, f"{_name(rng)} {rng.choice(ISSUES)}"))
    median = {Tier.NMS_TIER_1: 13.5, Tier.NMS_TIER_2: 10.5, Tier.OTC: 8.5}[tier]
    return tuple(SampleSecurity(symbol, issue, rng.lognormvariate(median, 1.6)) for symbol, issue in sorted(chosen))


@lru_cache(maxsize=16)
def venues(tier: Tier, seed: int) -> tuple[SampleVenue, ...]:
    """The ATS venues of a tier: a few hold most of the volume."""
    rng = random.Random(f"{seed}|venues")
    pool = sorted({"".join(rng.choices(ascii_uppercase, k=4)) for _ in range(60)})
    rng.shuffle(pool)
    chosen = pool[: VENUES[tier]]
    return tuple(
        SampleVenue(
            mpid, f"{mpid} {rng.choice(FIRST).upper()} {rng.choice(('ATS', 'CROSS', 'LINK', 'POOL'))}", 1 / rank**1.1
        )
        for rank, mpid in enumerate(chosen, 1)
    )


@lru_cache(maxsize=16)
def firms(tier: Tier, seed: int) -> tuple[SampleVenue, ...]:
    """The non-ATS firms of a tier that FINRA names; the pool of all small ones is not among them."""
    rng = random.Random(f"{seed}|firms")
    names = sorted(
        {f"{_name(rng)} {rng.choice(('Securities LLC', 'Trading, L.P.', 'Markets Inc.'))}" for _ in range(90)}
    )
    rng.shuffle(names)
    return tuple(SampleVenue("", name.upper(), 1 / rank**1.3) for rank, name in enumerate(names[: FIRMS[tier]], 1))


def _peculiar(tier: Tier) -> tuple[tuple[str, str], ...]:
    """Rows as in real weeks that a naive parser trips over (finra.md, "Rows")."""
    shared = ("BOTHW", "Both Worlds, Inc. Common Stock")
    return {
        Tier.NMS_TIER_1: (shared, ("BRK.B", "Brook Holdings, Inc. Class B Common Stock")),
        Tier.NMS_TIER_2: (
            shared,
            ("KESpD", "Kestrel Capital 6.5% Preferred Series D"),
            ("KESPD", "Kespar Devices Common Stock"),
            ("QUOT", 'The "Quoted" Company, Inc. Common Stock'),
            ("TWIN", "Twin Oaks Corp Common Stock"),
            ("TWIN", "Twinfield Energy Trust Units"),
        ),
        Tier.OTC: (("", "Nimbus Private Placement Units"), ("", ""), ("GRNTF", "Granite Ordinary Shares")),
    }[tier]


def _symbol(rng: random.Random, tier: Tier) -> str:
    letters = "".join(rng.choices(ascii_uppercase, k=4))
    if tier is Tier.OTC:
        return letters + rng.choice("FYX")
    return f"{letters}.A" if rng.random() < 0.01 else letters[: rng.choice((3, 4, 4))] + rng.choice(("", "", "W"))


def _name(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(SECOND)}"
