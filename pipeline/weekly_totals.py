"""The sums of one week that its analytics are made of: per venue, and per security in a temporary table.

Rows are chosen by the versions of the captures given, not as "current": a restatement that lands meanwhile changes
nothing. Shares are summed as whole shares and millionths, because a sum of millionths does not fit a bigint at 10^13
shares and SQLite has no wider integer. Grouping follows the primary key of the rows, so nothing is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from pipeline.finra.rows import DE_MINIMIS
from pipeline.models import ALL_TIERS, AnalyticsSnapshot, Capture, Family, VenueKind

HELD = "(partition_id = %s AND first_version <= %s AND (last_version IS NULL OR last_version >= %s))"
KIND_COLUMNS = ("venues", "whole", "micros", "trades", "volume", "squares")
COLUMNS = (*(f"ats_{name}" for name in KIND_COLUMNS), *(f"non_{name}" for name in KIND_COLUMNS), "pool_squares")
SEVERAL = "SELECT security_id FROM week_symbol GROUP BY security_id HAVING COUNT(*) > 1"

# A cell is what one venue traded in one security: a row, or several that differ in product type or tier. `squares` leaves
# the De Minimis pool out, `pool_squares` is the pool's: HHI's two ends differ in it.
CELLS = """
    SELECT security_id, venue_id, SUM(shares_micros / 1000000) AS whole, SUM(shares_micros %% 1000000) AS micros,
           SUM(trades) AS trades, SUM(CAST(shares_micros AS double precision)) / 1000000 AS volume
    FROM pipeline_rowversion WHERE {held} GROUP BY security_id, venue_id
"""
OF_KIND = """
    SUM(CASE WHEN venue.kind = '{kind}' THEN 1 ELSE 0 END), SUM(CASE WHEN venue.kind = '{kind}' THEN whole ELSE 0 END),
    SUM(CASE WHEN venue.kind = '{kind}' THEN micros ELSE 0 END), SUM(CASE WHEN venue.kind = '{kind}' THEN trades ELSE 0 END),
    SUM(CASE WHEN venue.kind = '{kind}' THEN volume ELSE 0.0 END),
    SUM(CASE WHEN venue.kind = '{kind}' AND NOT {pooled} THEN volume * volume ELSE 0.0 END)
"""
POOLED = f"(venue.kind = 'NON_ATS' AND venue.name = '{DE_MINIMIS}')"
BY_SECURITY = f"""
    INSERT INTO week_symbol SELECT %s, security_id, {OF_KIND.format(kind="ATS", pooled=POOLED)},
           {OF_KIND.format(kind="NON_ATS", pooled=POOLED)}, SUM(CASE WHEN {POOLED} THEN volume * volume ELSE 0.0 END)
    FROM ({{cells}}) AS cell JOIN pipeline_venue AS venue ON venue.id = cell.venue_id GROUP BY security_id
"""
BY_VENUE = """
    SELECT venue.id, venue.kind, venue.name, whole, micros, trades, symbols, notional_whole, notional_micros, unpriced
    FROM (SELECT venue_id, SUM(shares_micros / 1000000) AS whole, SUM(shares_micros %% 1000000) AS micros,
                 SUM(trades) AS trades, COUNT(DISTINCT security_id) AS symbols,
                 SUM(notional_micros / 1000000) AS notional_whole, SUM(notional_micros %% 1000000) AS notional_micros,
                 COUNT(*) - COUNT(notional_micros) AS unpriced
          FROM pipeline_rowversion WHERE {held} GROUP BY venue_id) AS total
    JOIN pipeline_venue AS venue ON venue.id = total.venue_id ORDER BY venue.id
"""


@dataclass(frozen=True, slots=True)
class Total:
    """A venue's week within a scope. `notional` (US dollars) is None unless every row has one."""

    venue_id: int
    kind: VenueKind
    is_pool: bool
    shares: Decimal
    trades: int
    symbols: int
    notional: Decimal | None


def totals_by_venue(captures: Sequence[Capture]) -> list[Total]:
    """Each venue's total over the captures given."""
    held, versions = _held(captures)
    return [
        Total(
            venue_id=venue,
            kind=VenueKind(kind),
            is_pool=kind == VenueKind.NON_ATS and name == DE_MINIMIS,
            shares=_exact(whole, micros),
            trades=int(trades),
            symbols=symbols,
            notional=None if unpriced or dollars is None else _exact(dollars, cents),
        )
        for venue, kind, name, whole, micros, trades, symbols, dollars, cents, unpriced in _fetch(
            BY_VENUE.format(held=held), versions
        )
    ]


@contextmanager
def totals_by_security(captures: Sequence[Capture], *, cross_tier: bool) -> Iterator[None]:
    """For the time of the block, the table `week_symbol`: sums per scope and security; with `cross_tier` over all tiers."""
    columns = ", ".join(f"{name} double precision" if _is_float(name) else f"{name} bigint" for name in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE week_symbol (scope text, security_id integer, {columns})")
        for capture in captures:
            held, versions = _held([capture])
            cells = CELLS.format(held=held)
            cursor.execute(BY_SECURITY.format(cells=cells), [capture.partition.tier, *versions])
        if cross_tier:
            _add_all_tiers(captures)
        yield
        cursor.execute("DROP TABLE week_symbol")


def _add_all_tiers(captures: Sequence[Capture]) -> None:
    """What a security's only tier has is its total over all tiers; only those of several tiers are summed again."""
    held, versions = _held(captures)
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE several_tiers AS {SEVERAL}")
        cells = CELLS.format(held=f"({held}) AND security_id IN (SELECT security_id FROM several_tiers)")
        cursor.execute(
            f"INSERT INTO week_symbol SELECT %s, security_id, {columns} FROM week_symbol"
            " WHERE security_id NOT IN (SELECT security_id FROM several_tiers)",
            [ALL_TIERS],
        )
        cursor.execute(BY_SECURITY.format(cells=cells), [ALL_TIERS, *versions])
        cursor.execute("DROP TABLE several_tiers")


def store_symbol_concentrations(snapshot: AnalyticsSnapshot, scope: str, family: Family) -> int:
    """Each security's concentration over the venues of a scope and family, in one INSERT; how many securities.

    HHI is taken in double precision, which holds 1e-12; the sums of shares are exact.
    """
    kinds = {Family.ATS: ("ats",), Family.NON_ATS: ("non",), Family.ALL: ("ats", "non")}[family]
    named, volume, venues = _sum("squares", kinds), _sum("volume", kinds), _sum("venues", kinds)
    pooled = "pool_squares" if "non" in kinds else "0"
    total = f"NULLIF(({volume}) * ({volume}), 0)"
    query = f"""
        INSERT INTO pipeline_symbolconcentration
            (snapshot_id, scope, family, security_id, shares, trades, venues, hhi_low, hhi_high)
        SELECT %s, %s, %s, security_id, {_exact_decimal(_sum("whole", kinds), _sum("micros", kinds))},
               {_sum("trades", kinds)}, {venues}, ({named}) / {total}, ({named} + {pooled}) / {total}
        FROM week_symbol WHERE scope = %s AND {venues} > 0
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [snapshot.pk, scope, family, scope])
        return int(cursor.rowcount)


def _held(captures: Sequence[Capture]) -> tuple[str, list[int]]:
    """The condition that a row holds in one of the captures, and its parameters."""
    parameters = [part for capture in captures for part in (capture.partition_id, capture.version, capture.version)]
    return " OR ".join([HELD] * len(captures)), parameters


def _is_float(column: str) -> bool:
    return column.endswith(("volume", "squares"))


def _sum(name: str, kinds: Sequence[str]) -> str:
    return " + ".join(f"{kind}_{name}" for kind in kinds)


def _exact_decimal(whole: str, micros: str) -> str:
    """SQL for a sum of shares as ExactDecimalField stores it on this engine."""
    if connection.vendor == "postgresql":
        return f"{whole} + ({micros}) / 1000000.0"
    return f"printf('%%030d.%%06d', {whole} + ({micros}) / 1000000, ({micros}) %% 1000000)"


def _exact(whole: int, micros: int) -> Decimal:
    return Decimal(int(whole)) + Decimal(int(micros)).scaleb(-6)


def _fetch(query: str, parameters: Sequence[int]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
