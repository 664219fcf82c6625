"""A week's figures by DuckDB, in SQL of its own, from the vintage files alone (docs/analytics.md says what they are)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

NAMED = "SELECT *, CASE WHEN venue_kind = 'ATS' THEN '' ELSE venue_name END AS firm FROM read_parquet($files)"
SCOPED = f"""
    named AS ({NAMED}),
    everywhere AS (SELECT venue_kind FROM named GROUP BY venue_kind HAVING count(DISTINCT tier) = 3),
    scoped AS (SELECT tier AS scope, * FROM named
               UNION ALL SELECT 'ALL', * FROM named WHERE venue_kind IN (FROM everywhere)),
    both_kinds AS (SELECT scope FROM scoped GROUP BY scope HAVING count(DISTINCT venue_kind) = 2),
    families AS (SELECT *, venue_kind AS family FROM scoped
                 UNION ALL SELECT *, 'ALL' FROM scoped WHERE scope IN (FROM both_kinds))
"""
VENUES = f"""
    WITH {SCOPED},
    sums AS (
        SELECT scope, venue_kind, mpid, crd, firm, sum(shares) AS shares, sum(trades)::BIGINT AS trades,
               count(DISTINCT (symbol, issue_name)) AS symbols,
               CASE WHEN count(notional) = count(*) THEN sum(notional) END AS notional
        FROM scoped GROUP BY ALL)
    SELECT * EXCLUDE in_both, shares::DOUBLE / nullif(trades, 0) AS average_trade_size,
           shares::DOUBLE / nullif(sum(shares) OVER kind, 0)::DOUBLE AS share,
           rank() OVER (kind ORDER BY shares DESC) AS rank,
           CASE WHEN in_both THEN shares::DOUBLE / nullif(sum(shares) OVER scope, 0)::DOUBLE END AS share_of_all,
           CASE WHEN in_both THEN rank() OVER (scope ORDER BY shares DESC) END AS rank_of_all
    FROM (SELECT *, scope IN (FROM both_kinds) AS in_both FROM sums)
    WINDOW kind AS (PARTITION BY scope, venue_kind), scope AS (PARTITION BY scope)
    ORDER BY scope, venue_kind, mpid, crd, firm
"""
CONCENTRATIONS = f"""
    WITH {SCOPED},
    cells AS (
        SELECT scope, family, {{of}} venue_kind = 'NON_ATS' AND firm = 'De Minimis Firms' AS is_pool,
               sum(shares) AS cell, sum(trades) AS trades
        FROM families GROUP BY scope, family, {{of}} venue_kind, mpid, crd, firm)
    SELECT scope, family, {{of}} sum(cell) AS shares, sum(trades)::BIGINT AS trades, count(*) AS venues,
           sum(CASE WHEN is_pool THEN 0 ELSE cell::DOUBLE ** 2 END) / nullif(sum(cell), 0)::DOUBLE ** 2 AS hhi_low,
           sum(cell::DOUBLE ** 2) / nullif(sum(cell), 0)::DOUBLE ** 2 AS hhi_high
    FROM cells GROUP BY ALL ORDER BY ALL
"""
SYMBOLS_OF_MARKETS = f"""
    WITH {SCOPED}
    SELECT scope, family, count(DISTINCT (symbol, issue_name)) AS symbols FROM families GROUP BY ALL ORDER BY ALL
"""
KEY = ("symbol", "issue_name", "mpid", "crd", "firm", "product_type")
FIGURES = ("shares", "trades", "notional", "last_update_date")
DIFFERENCE = f"""
    WITH named AS ({NAMED.replace("$files)", "$files, filename = true)")}),
    before AS (FROM named WHERE filename = $files[1]), after AS (FROM named WHERE filename = $files[2])
    SELECT {", ".join(f"coalesce(after.{name}, before.{name}) AS {name}" for name in (*KEY, "venue_kind"))},
           CASE WHEN before.trades IS NULL THEN 'added' WHEN after.trades IS NULL THEN 'removed' ELSE 'changed' END AS kind,
           {", ".join(f"{side}.{name} AS {side}_{name}" for side in ("before", "after") for name in FIGURES)}
    FROM before FULL JOIN after ON {" AND ".join(f"before.{name} = after.{name}" for name in KEY)}
    WHERE {" OR ".join(f"before.{name} IS DISTINCT FROM after.{name}" for name in FIGURES)}
    ORDER BY ALL
"""


def asked(sql: str, files: Sequence[Path], **given: Any) -> pl.DataFrame:
    """What DuckDB answers."""
    with duckdb.connect() as database:
        database.execute("SET threads = 1")
        found: pl.DataFrame = database.sql(sql, params={"files": [str(path) for path in files], **given}).pl()
    return found


def rows(files: Sequence[Path]) -> pl.DataFrame:
    """All rows, file by file, in the order in which they stand there."""
    return asked(
        "SELECT * EXCLUDE filename FROM read_parquet($files, filename = true) ORDER BY filename, file_row_number", files
    )


def venues(files: Sequence[Path]) -> pl.DataFrame:
    """Each venue's volume, share and rank by scope."""
    return asked(VENUES, files)


def markets(files: Sequence[Path]) -> pl.DataFrame:
    """The concentration of each scope and family."""
    return asked(CONCENTRATIONS.format(of=""), files).join(asked(SYMBOLS_OF_MARKETS, files), on=["scope", "family"])


def symbols(files: Sequence[Path]) -> pl.DataFrame:
    """The concentration of each security by scope and family."""
    return asked(CONCENTRATIONS.format(of="symbol, issue_name,"), files)


def difference(before: Path, after: Path) -> pl.DataFrame:
    """The rows in which two files differ, before and after."""
    return asked(DIFFERENCE, [before, after])
