"""Engines have been wrong in filtered scans: those of 300 random frames are held to plain Python over all rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.finra.rows import SCHEMA, in_order
from pipeline.vintages import store
from tests.faults.extent import EVERYTHING

FRAMES = 300 if EVERYTHING else 30
GROUP = 16  # rows: many row groups, whose statistics decide which are read
PAGE = 64  # bytes: several pages in each, of which those without a row of the filter are passed over
SYMBOLS = ["", "A", "AA", "AAPL", "B", "BRK.B", "Z", "ZZZZZ", "É", "\U0001f600", "a" * 40]
FIRMS = ["De Minimis Firms", "FIRM ONE", "FIRM TWO", "Ünïcode & Co", "F" * 300]
DAYS = [date(2025, 12, 1) + timedelta(days=number) for number in range(5)]
AMOUNTS = [Decimal(0), Decimal("0.000001"), Decimal(1), Decimal("99.5"), Decimal(10**6), Decimal("999999999999.999999")]
KEY = ["symbol", "issue_name", "mpid", "crd", "venue_name", "product_type"]
Row = dict[str, Any]


def drawn(dice: random.Random) -> Row:
    is_ats = dice.random() < 0.5
    return {
        "week_ending": date(2025, 11, 14),
        "tier": "OTC",
        "venue_kind": "ATS" if is_ats else "NON_ATS",
        "symbol": dice.choice(SYMBOLS),
        "issue_name": f"ISSUE {dice.randrange(3)}",
        "mpid": f"MP{dice.randrange(20)}" if is_ats else "",
        "crd": "",
        "venue_name": "POOL" if is_ats else dice.choice(FIRMS),
        "product_type": dice.choice(["", "ADR"]),
        "shares": dice.choice(AMOUNTS),
        "trades": dice.randrange(1000),
        "notional": dice.choice([None, Decimal("1.5"), Decimal(10**20)]),
        "last_update_date": dice.choice(DAYS),
    }


def filters(dice: random.Random) -> list[tuple[pl.Expr, Callable[[Row], bool]]]:
    """Each as polars has it and as Python has it."""
    symbol, other, firm = dice.choice(SYMBOLS), dice.choice(SYMBOLS), dice.choice(FIRMS)
    day, amount, trades = dice.choice(DAYS), dice.choice(AMOUNTS), dice.randrange(1000)
    text, shares = pl.col("symbol"), pl.col("shares")
    return [
        (text == symbol, lambda row: row["symbol"] == symbol),
        (text != symbol, lambda row: row["symbol"] != symbol),
        (text.is_in([symbol, other]), lambda row: row["symbol"] in {symbol, other}),
        (text.str.starts_with(symbol), lambda row: row["symbol"].startswith(symbol)),
        (text > symbol, lambda row: row["symbol"].encode() > symbol.encode()),
        (pl.col("venue_name") == firm, lambda row: row["venue_name"] == firm),
        (shares == amount, lambda row: row["shares"] == amount),
        (shares > amount, lambda row: row["shares"] > amount),
        (shares <= amount, lambda row: row["shares"] <= amount),
        (pl.col("trades").is_between(trades, 2 * trades), lambda row: trades <= row["trades"] <= 2 * trades),
        (pl.col("last_update_date") >= day, lambda row: row["last_update_date"] >= day),
        (pl.col("notional").is_null(), lambda row: row["notional"] is None),
        (pl.col("notional") > amount, lambda row: row["notional"] is not None and row["notional"] > amount),
        (
            (text == symbol) & (shares > amount) | (pl.col("venue_kind") == "ATS") & (pl.col("trades") < trades),
            lambda row: (
                (row["symbol"] == symbol and row["shares"] > amount)
                or (row["venue_kind"] == "ATS" and row["trades"] < trades)
            ),
        ),
    ]


@pytest.mark.parametrize("part", range(3))
def test_a_filtered_scan_finds_what_is_found_among_all_rows(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAGE", PAGE)
    path = tmp_path / "rows.parquet"
    for seed in range(part, FRAMES, 3):
        dice = random.Random(seed)
        unique = pl.DataFrame([drawn(dice) for _ in range(dice.randrange(1, 200))], SCHEMA).unique(KEY, keep="first")
        frame, _ = in_order(unique)
        path.write_bytes(store.encoded(frame, {}, GROUP))
        rows = frame.to_dicts()
        for expression, holds in filters(dice):
            found = pl.scan_parquet(path).filter(expression).collect().to_dicts()
            assert found == [row for row in rows if holds(row)], f"seed {seed}: {expression}"
