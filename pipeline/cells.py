"""The cells of one week: shares and trades per scope, security and venue, in a temporary table that the analytics read.

A scope is a tier, or all of them. Shares are kept as whole shares and millionths, because a sum of millionths does not fit
a bigint at 10^13 shares and SQLite has no wider integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from pipeline.models import ALL_TIERS, AnalyticsSnapshot, Capture, Family, VenueKind
from pipeline.models.rows import DE_MINIMIS

GATHER = """
    INSERT INTO week_cell
    SELECT {scope}, venue.kind, venue.kind = 'NON_ATS' AND venue.name = %s, row.security_id, row.venue_id,
           SUM(row.shares_micros / 1000000), SUM(row.shares_micros %% 1000000), SUM(row.trades),
           SUM(row.notional_micros / 1000000), SUM(row.notional_micros %% 1000000), COUNT(*) - COUNT(row.notional_micros)
    FROM pipeline_rowversion AS row
    JOIN pipeline_partition AS part ON part.id = row.partition_id
    JOIN pipeline_venue AS venue ON venue.id = row.venue_id
    WHERE {held}
    GROUP BY 1, 2, 3, 4, 5
"""
HELD = "(row.partition_id = %s AND row.first_version <= %s AND (row.last_version IS NULL OR row.last_version >= %s))"
FAMILY = "(scope = %s AND (kind = %s OR %s = 'ALL'))"


@dataclass(frozen=True, slots=True)
class Total:
    """A venue's week within a scope. `notional` is None unless every row has one."""

    scope: str
    venue_id: int
    kind: VenueKind
    is_pool: bool
    shares: Decimal
    trades: int
    symbols: int
    notional: Decimal | None


@contextmanager
def gathered(inputs: list[Capture], *, cross_tier: bool) -> Iterator[None]:
    """The cells of the vintages in `inputs`, for the time of the block; with `cross_tier` also over all tiers.

    Rows are chosen by version, not by "current": a restatement that lands meanwhile changes nothing.
    """
    held = " OR ".join([HELD] * len(inputs))
    versions = [part for capture in inputs for part in (capture.partition_id, capture.version, capture.version)]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE week_cell (scope text, kind text, pooled boolean, security_id integer, "
            "venue_id integer, whole bigint, micros bigint, trades bigint, notional_whole bigint, "
            "notional_micros bigint, unpriced bigint)"
        )
        for scope in ["part.tier", f"'{ALL_TIERS}'"] if cross_tier else ["part.tier"]:
            cursor.execute(GATHER.format(scope=scope, held=held), [DE_MINIMIS, *versions])
        yield
        cursor.execute("DROP TABLE week_cell")


def totals_by_venue() -> list[Total]:
    """Each venue's total within each scope."""
    query = """
        SELECT scope, venue_id, kind, pooled, SUM(whole), SUM(micros), SUM(trades), COUNT(DISTINCT security_id),
               SUM(notional_whole), SUM(notional_micros), SUM(unpriced)
        FROM week_cell GROUP BY scope, venue_id, kind, pooled ORDER BY scope, venue_id
    """
    return [
        Total(scope, venue, VenueKind(kind), bool(pool), _exact(whole, micros), int(trades), symbols, notional)
        for scope, venue, kind, pool, whole, micros, trades, symbols, notional in map(_with_notional, _fetch(query))
    ]


def has_both_kinds(scope: str, inputs: list[Capture]) -> bool:
    """Whether ATS and non-ATS volume is captured in the scope: in its tier, or in every tier."""
    counted = dict(_fetch("SELECT scope, COUNT(DISTINCT kind) FROM week_cell GROUP BY scope"))
    tiers = [capture.partition.tier for capture in inputs] if scope == ALL_TIERS else [scope]
    return all(counted.get(tier) == len(VenueKind) for tier in tiers)


def count_symbols(scope: str, family: Family) -> int:
    """How many securities traded within a scope and family."""
    query = f"SELECT COUNT(DISTINCT security_id) FROM week_cell WHERE {FAMILY}"
    return int(_fetch(query, [scope, family, family])[0][0])


def store_symbol_concentrations(snapshot: AnalyticsSnapshot, scope: str, family: Family) -> None:
    """Each security's concentration over the venues of a scope and family, in one INSERT.

    HHI is taken in double precision, which holds 1e-12; the sums of shares are exact.
    """
    sum_of_shares = _sum_as_exact_decimal()
    query = f"""
        INSERT INTO pipeline_symbolconcentration
            (snapshot_id, scope, family, security_id, shares, trades, venues, hhi_low, hhi_high)
        SELECT %s, %s, %s, security_id, {sum_of_shares}, SUM(trades), COUNT(*),
               SUM(CASE WHEN pooled THEN 0.0 ELSE volume * volume END) / NULLIF(SUM(volume) * SUM(volume), 0),
               SUM(volume * volume) / NULLIF(SUM(volume) * SUM(volume), 0)
        FROM (SELECT week_cell.*, CAST(whole AS double precision) + micros / CAST(1000000 AS double precision) AS volume
              FROM week_cell WHERE {FAMILY}) AS cell
        GROUP BY security_id
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [snapshot.pk, scope, family, scope, family, family])


def _sum_as_exact_decimal() -> str:
    """SQL for the sum of a group's shares, as ExactDecimalField stores it on this engine."""
    if connection.vendor == "postgresql":
        return "SUM(whole) + SUM(micros) / 1000000.0"
    return "printf('%%030d.%%06d', SUM(whole) + SUM(micros) / 1000000, SUM(micros) %% 1000000)"


def _with_notional(found: tuple[Any, ...]) -> tuple[Any, ...]:
    *figures, whole, micros, unpriced = found
    return (*figures, None if unpriced or whole is None else _exact(whole, micros))


def _exact(whole: int, micros: int) -> Decimal:
    return Decimal(int(whole)) + Decimal(int(micros)).scaleb(-6)


def _fetch(query: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
