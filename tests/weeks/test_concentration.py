"""A week's figures from frames of rows: beside a plain-Python calculation, and beside DuckDB over the same file."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.finra.rows import SCHEMA, in_order
from pipeline.weeks.concentration import MARKETS, SYMBOLS, VENUES, Figures, figures_of
from tests.weeks import plain_figures
from tests.weeks.plain_figures import KINDS, POOL, TIERS, Row

WEEK = date(2026, 2, 6)
CLOSE = 1e-12
MOST = Decimal("999999999999.999999")  # shares of a row
FIRMS = ("Firm One", "Firm Two", POOL)

CELLS = """
    CREATE VIEW cells AS
    SELECT scope, venue_kind AS kind, symbol, issue_name, mpid, crd, firm, sum(shares) AS shares, sum(trades) AS trades
    FROM (SELECT tier AS scope, * FROM source UNION ALL SELECT 'ALL', * FROM source) GROUP BY ALL
"""
SOURCE = """
    CREATE VIEW source AS
    SELECT *, CASE WHEN venue_kind = 'ATS' THEN '' ELSE venue_name END AS firm FROM read_parquet('{path}')
"""
OF_SYMBOLS = """
    SELECT scope, kind, symbol, issue_name, sum(shares) AS total, sum(trades), count(*),
           sum(CASE WHEN firm <> 'De Minimis Firms' THEN shares::DOUBLE * shares::DOUBLE ELSE 0 END) / (total::DOUBLE ** 2),
           sum(shares::DOUBLE * shares::DOUBLE) / (total::DOUBLE ** 2)
    FROM cells GROUP BY scope, kind, symbol, issue_name
"""


def row(tier: str, symbol: str, venue: str, shares: Decimal | str | int, **other: Any) -> Row:
    """A row: an ATS where `venue` is in capitals, else a firm of that name."""
    is_ats = venue.isupper()
    return {
        "week_ending": WEEK,
        "tier": tier,
        "venue_kind": "ATS" if is_ats else "NON_ATS",
        "symbol": symbol,
        "issue_name": f"{symbol} Inc",
        "mpid": venue if is_ats else "",
        "crd": "",
        "venue_name": f"{venue} NAME" if is_ats else venue,
        "product_type": "",
        "shares": Decimal(shares),
        "trades": 1,
        "notional": None,
        "last_update_date": WEEK,
        **other,
    }


def frame_of(rows: Iterable[Row]) -> pl.DataFrame:
    """The rows as vintage files have them: tier by tier in canonical order."""
    frame = pl.DataFrame(list(rows), schema=SCHEMA)
    return pl.concat([in_order(frame.filter(pl.col("tier") == tier))[0] for tier in TIERS])


def of(rows: Iterable[Row]) -> Figures:
    return figures_of(frame_of(rows).lazy())


def random_rows(seed: int) -> list[Row]:
    """Some hundred rows with everything that a week may have: of two kinds, or one; of all tiers, or fewer."""
    chance = random.Random(seed)
    kinds = chance.choice([KINDS, KINDS, KINDS[:1], KINDS[1:]])
    tiers = chance.sample(TIERS, chance.choice([1, 2, 3, 3, 3]))
    keys = {
        (
            tier,
            f"S{chance.randrange(6)}",
            chance.choice(["", "Other"]),
            kind,
            chance.randrange(3),
            chance.choice(["", "2"]),
        )
        for kind in kinds
        for tier in tiers
        for _ in range(chance.randrange(1, 60))
    }
    return [
        row(
            tier,
            symbol,
            ("AAAA", "BBBB", "CCCC")[venue] if kind == "ATS" else FIRMS[venue],
            chance.choice([Decimal(0), Decimal(100), Decimal(chance.randrange(1, 10**9)).scaleb(-6), MOST]),
            issue_name=issue,
            product_type=product,
            crd=chance.choice(["", "7"]),
            trades=chance.choice([0, 1, chance.randrange(10**11)]),
            notional=chance.choice([None, Decimal(chance.randrange(10**15)).scaleb(-6)]),
        )
        for tier, symbol, issue, kind, venue, product in sorted(keys)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_random_weeks_have_the_figures_of_a_plain_calculation(seed: int) -> None:
    rows = random_rows(seed)
    figures = of(rows)
    scopes = plain_figures.scopes_of(rows)
    assert (figures.venues.schema, figures.markets.schema, figures.symbols.schema) == (VENUES, MARKETS, SYMBOLS)
    check_markets(figures, scopes)
    check_symbols(figures, scopes)
    check_venues(figures, scopes)


def check_markets(figures: Figures, scopes: dict[tuple[str, str], list[Row]]) -> None:
    found = {(each["scope"], each["family"]): each for each in figures.markets.iter_rows(named=True)}
    assert found.keys() == scopes.keys()
    for key, each in found.items():
        check_concentration(each, plain_figures.concentration(scopes[key]))
        assert each["symbols"] == len(plain_figures.by_security(scopes[key]))


def check_symbols(figures: Figures, scopes: dict[tuple[str, str], list[Row]]) -> None:
    found = {
        (each["scope"], each["family"], each["symbol"], each["issue_name"]): each
        for each in figures.symbols.iter_rows(named=True)
    }
    expected = {
        (*key, *security): own
        for key, rows in scopes.items()
        for security, own in plain_figures.by_security(rows).items()
    }
    assert len(found) == figures.symbols.height
    assert found.keys() == expected.keys()
    for full_key, each in found.items():
        check_concentration(each, plain_figures.concentration(expected[full_key]))


def check_concentration(found: dict[str, Any], expected: plain_figures.Concentration) -> None:
    assert (found["shares"], found["trades"], found["venues"]) == (expected.shares, expected.trades, expected.venues)
    for end in ("hhi_low", "hhi_high"):
        fraction = getattr(expected, end)
        assert found[end] == (None if fraction is None else pytest.approx(float(fraction), rel=CLOSE, abs=0))


def check_venues(figures: Figures, scopes: dict[tuple[str, str], list[Row]]) -> None:
    found = {
        (each["scope"], each["venue_kind"], each["mpid"], each["crd"], "" if each["mpid"] else each["venue_name"]): each
        for each in figures.venues.iter_rows(named=True)
    }
    assert len(found) == figures.venues.height
    volumes = {key: plain_figures.volumes(rows) for key, rows in scopes.items()}
    assert found.keys() == {
        (scope, *venue) for (scope, family), own in volumes.items() if family != "ALL" for venue in own
    }
    for (scope, *rest), each in found.items():
        kind, *_ = venue = (rest[0], rest[1], rest[2], rest[3])
        check_volume(each, volumes[scope, kind][venue], volumes.get((scope, "ALL"), {}).get(venue))


def check_volume(found: dict[str, Any], own: plain_figures.Volume, among_all: plain_figures.Volume | None) -> None:
    assert (found["shares"], found["trades"], found["symbols"]) == (own.shares, own.trades, own.symbols)
    assert (found["notional"], found["rank"]) == (own.notional, own.rank)
    assert found["share"] == (None if own.share is None else pytest.approx(float(own.share), rel=CLOSE, abs=0))
    average = pytest.approx(float(own.shares) / own.trades, rel=CLOSE) if own.trades else None
    assert found["average_trade_size"] == average
    assert found["rank_of_all"] == (among_all.rank if among_all else None)
    share_of_all = None if among_all is None or among_all.share is None else float(among_all.share)
    assert found["share_of_all"] == (None if share_of_all is None else pytest.approx(share_of_all, rel=CLOSE, abs=0))


def test_duckdb_finds_the_same_concentration_of_each_symbol(tmp_path: Path) -> None:
    rows = [each for seed in range(10) for each in random_rows(seed) if each["shares"] > 0]
    path = tmp_path / "week.parquet"
    frame_of(rows).write_parquet(path)
    with duckdb.connect() as judge:
        judge.execute(SOURCE.format(path=path))
        judge.execute(CELLS)
        expected = {found[:4]: found[4:] for found in judge.execute(OF_SYMBOLS).fetchall()}
    symbols = of(rows).symbols.filter(pl.col("family") != "ALL")
    assert {each[:4] for each in symbols.iter_rows()} == expected.keys()
    for each in symbols.iter_rows():
        shares, trades, venues, low, high = expected[each[:4]]
        assert each[4:7] == (shares, trades, venues)
        assert each[7:] == pytest.approx((low, high), rel=CLOSE)


def test_one_name_of_an_ats_stands_in_every_scope() -> None:
    names = ("AAAA ATS", "The A ATS", "A")
    rows = [row(tier, "S", "AAAA", 1, venue_name=name) for tier, name in zip(TIERS, names, strict=True)]
    venues = of(rows).venues
    assert venues.select("scope", "venue_name").rows() == [(scope, "The A ATS") for scope in ("ALL", *TIERS)]
    assert venues.select(pl.exclude("scope")).filter(pl.col("share") == 1.0).height == 4


def test_the_same_rows_have_the_same_figures_to_the_last_digit() -> None:
    """Sums of squares in another order have another last digit: a killed run would end otherwise than one left alone."""
    chance = random.Random(1)
    rows = [
        row(tier, f"S{symbol}", f"{kind}{number}", Decimal(chance.randrange(1, 10**12)).scaleb(-3))
        for tier in TIERS
        for symbol in range(5)
        for kind in ("V", "Firm")
        for number in range(40)
    ]
    first = of(rows)
    for _ in range(12):
        chance.shuffle(rows)
        again = of(rows)
        assert (again.markets.rows(), again.symbols.rows()) == (first.markets.rows(), first.symbols.rows())


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = random_rows(5)
    figures, backwards = of(rows), of(reversed(rows))
    assert_frame_equal(figures.venues, backwards.venues)
    assert_frame_equal(figures.markets, backwards.markets)
    assert_frame_equal(figures.symbols, backwards.symbols)


@pytest.mark.parametrize("mpid", ["É", "~A"])
def test_an_ats_that_sorts_behind_the_firms_is_one_kind_with_the_others(mpid: str) -> None:
    rows = [row("OTC", "S", venue, 1) for venue in ("AAAA", "Firm One", mpid)]
    of_ats = of(rows).symbols.filter(pl.col("family") == "ATS")
    assert of_ats.select("shares", "venues", "hhi_low").rows() == [(Decimal(2), 2, 0.5)]


def test_no_rows_have_no_figures() -> None:
    figures = of([])
    assert (figures.venues.schema, figures.markets.schema, figures.symbols.schema) == (VENUES, MARKETS, SYMBOLS)
    assert (figures.venues.height, figures.markets.height, figures.symbols.height) == (0, 0, 0)
