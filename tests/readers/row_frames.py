"""Frames of rows made up from a seed: few symbols, venues and figures, so that values meet, and odd ones among them."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import ATS, DE_MINIMIS, NON_ATS, SCHEMA, in_order

WEEK = date(2025, 11, 14)
SYMBOLS = ("", "A", "AA", "AMBR", "AMBR.B", "AMBRpD", "MSFT", "msft", "Z\N{LATIN SMALL LETTER SHARP S}", "ZZZZ")
ISSUES = ("", "Amber Inc", "AMBER INC Class B", "=1+1", "Stra\N{LATIN SMALL LETTER SHARP S}e AG")
VENUES = (
    (ATS, "UBSA", "", "UBS ATS"),
    (ATS, "SGMT", "", "SIGMA X2"),
    (ATS, "TWO", "7", "TWO ONE"),
    (ATS, "TWO", "8", "TWO OTHER"),
    (NON_ATS, "", "", DE_MINIMIS),
    (NON_ATS, "", "149", "UBS SECURITIES LLC"),
    (NON_ATS, "", "", "G1 EXECUTION"),
)
SHARES = (Decimal(0), Decimal("0.000001"), Decimal("100.5"), Decimal(100), Decimal("999999999999.999999"))


def random_rows(seed: int, key: PartitionKey | None = None, most: int = 60) -> pl.DataFrame:
    """Rows of a partition as the product has them, each natural key once, in canonical order."""
    rng = random.Random(seed)
    week_ending, tier = key or PartitionKey(WEEK, rng.choice(list(Tier)))
    keys = {
        (rng.choice(SYMBOLS), rng.choice(ISSUES), rng.choice(VENUES), rng.choice(("", "", "CRYPTO")))
        for _ in range(rng.randrange(most))
    }
    rows = [
        (week_ending, tier.value, kind, symbol, issue, mpid, crd, name, product, *_figures(rng, week_ending))
        for symbol, issue, (kind, mpid, crd, name), product in sorted(keys)
    ]
    return in_order(pl.DataFrame(rows, SCHEMA, orient="row"))[0]


def _figures(rng: random.Random, week_ending: date) -> tuple[Decimal, int, Decimal | None, date]:
    notional = None if rng.random() < 0.5 else rng.choice(SHARES) * 3
    return rng.choice(SHARES), rng.randrange(10), notional, week_ending + timedelta(days=rng.randrange(20, 60))
