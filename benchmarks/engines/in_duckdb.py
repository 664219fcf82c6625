"""DuckDB: the same in SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from benchmarks.engines.work import Week
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.formats.web_file import COLUMNS
from pipeline.finra.rows import FIGURES, KEY

SPELLINGS = {Tier.NMS_TIER_1: "NMS Tier 1", Tier.NMS_TIER_2: "NMS Tier 2", Tier.OTC: "OTC"}
LINES = """
    SELECT ? AS venue_kind, ordinal + 1 AS line, string_split(text, '|') AS fields, text
    FROM (SELECT unnest(lines) AS text, generate_subscripts(lines, 1) AS ordinal
          FROM (SELECT string_split(rtrim(content, chr(10)), chr(10)) AS lines FROM read_text(?)))
    WHERE ordinal > 1
"""
# The rules of the product, less those that tell kinds of bad numbers apart.
REASON = """
    CASE WHEN contains(text, chr(0)) THEN 'BAD_CHARACTER'
         WHEN len(fields) <> 8 THEN 'FIELD_COUNT'
         WHEN named_tier <> ? THEN 'WRONG_TIER'
         WHEN venue_kind = 'ATS' AND mpid = '' THEN 'EMPTY_MPID'
         WHEN venue_kind <> 'ATS' AND mpid <> '' THEN 'UNEXPECTED_MPID'
         WHEN venue_kind <> 'ATS' AND venue_name = '' THEN 'EMPTY_FIRM'
         WHEN length(symbol) > 40 OR length(mpid) > 10 OR length(issue_name) > 400 OR length(venue_name) > 400
         THEN 'TOO_LONG'
         WHEN NOT regexp_full_match(shares, '0*[0-9]{1,12}([.][0-9]{1,6}0*)?') THEN 'BAD_SHARES'
         WHEN NOT regexp_full_match(trades, '0*[0-9]{1,12}') THEN 'BAD_TRADES'
         WHEN try_strptime(updated, '%Y-%m-%d') IS NULL THEN 'BAD_DATE' END
"""
READ = f"""
    WITH fields AS (
        SELECT venue_kind, line, fields, text, fields[1] AS named_tier, fields[2] AS symbol, fields[3] AS issue_name,
               fields[4] AS venue_name, fields[5] AS mpid, fields[6] AS shares, fields[7] AS trades, fields[8] AS updated
        FROM ({LINES} UNION ALL {LINES})),
    judged AS (SELECT *, {REASON} AS reason FROM fields),
    keyed AS (SELECT *, CASE WHEN venue_kind = 'ATS' THEN '' ELSE venue_name END AS firm FROM judged),
    counted AS (
        SELECT *, row_number() OVER (PARTITION BY reason IS NULL, symbol, issue_name, mpid, firm ORDER BY line) AS nth
        FROM keyed)
    SELECT ?::DATE AS week_ending, ? AS tier, venue_kind, symbol, issue_name, mpid, '' AS crd, venue_name,
           '' AS product_type, shares::DECIMAL(18,6) AS shares, trades::BIGINT AS trades,
           NULL::DECIMAL(38,6) AS notional, updated::DATE AS last_update_date
    FROM counted WHERE reason IS NULL AND nth = 1
    ORDER BY symbol || '|' || issue_name || '|' || mpid || '||' || firm || '||'
"""
CANONICAL = """
    SELECT string_agg(concat_ws('|', symbol, issue_name, mpid, crd, CASE WHEN venue_kind = 'ATS' THEN '' ELSE venue_name END,
                                product_type, (shares::DECIMAL(38,6) * 1000000)::BIGINT, trades, '', last_update_date),
                      chr(10) ORDER BY rowid) FROM kept
"""
ROWS = "(SELECT *, CASE WHEN venue_kind = 'ATS' THEN '' ELSE venue_name END AS firm FROM read_parquet(?))"
VENUES = f"""
    SELECT count(*), sum(share), sum(rank) FROM (
        SELECT sum(shares)::DOUBLE / sum(sum(shares)::DOUBLE) OVER kind AS share,
               rank() OVER (kind ORDER BY sum(shares) DESC) AS rank, sum(trades), count(DISTINCT (symbol, issue_name))
        FROM {ROWS} GROUP BY tier, venue_kind, mpid, crd, firm WINDOW kind AS (PARTITION BY tier, venue_kind))
"""
SYMBOLS = f"""
    SELECT count(*), sum(CASE WHEN volume > 0 THEN squares / (volume * volume) ELSE 0 END) FROM (
        SELECT sum(cell) AS volume, sum(cell * cell) AS squares FROM (
            SELECT tier, venue_kind, symbol, issue_name, sum(shares)::DOUBLE AS cell FROM {ROWS}
            GROUP BY tier, venue_kind, symbol, issue_name, mpid, crd, firm)
        GROUP BY tier, venue_kind, symbol, issue_name)
"""
DIFFERENCE = f"""
    SELECT count(*) FILTER (before.symbol IS NULL),
           count(*) FILTER (before.symbol = after.symbol AND (
               {" OR ".join(f"before.{name} IS DISTINCT FROM after.{name}" for name in FIGURES)})),
           count(*) FILTER (after.symbol IS NULL)
    FROM {ROWS} AS before FULL JOIN {ROWS} AS after ON {" AND ".join(f"before.{name} = after.{name}" for name in KEY)}
"""


class DuckDB:
    """A connection in memory, with as many threads as polars has."""

    def __init__(self, key: PartitionKey, folder: Path, threads: int) -> None:
        assert len(COLUMNS) == 8
        self._key, self._folder = key, folder
        self._database = duckdb.connect(config={"threads": threads})

    def read(self, parts: Mapping[str, bytes]) -> str:
        """Into the table `kept`; DuckDB reads text from files."""
        words: list[str] = []
        for kind, content in parts.items():
            path = self._folder / f"{kind}.txt"
            path.write_bytes(content)
            words += [kind, str(path)]
        given = [*words, SPELLINGS[self._key.tier], str(self._key.week_ending), self._key.tier.value]
        self._database.execute(f"CREATE OR REPLACE TABLE kept AS {READ}", given)
        return "kept"

    def content_hash(self, table: object) -> str:
        """Texts joined in the engine, hashed outside: DuckDB's sha256 takes a text too, and is slower."""
        found = self._database.execute(CANONICAL).fetchone()
        assert found is not None
        return hashlib.sha256(f"{found[0]}\n".encode()).hexdigest()

    def write(self, table: object, path: Path) -> None:
        """COPY keeps the order of the table."""
        self._database.execute(f"COPY {table} TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384)")

    def week(self, paths: Sequence[Path]) -> Week:
        """Two statements."""
        files = [[str(path) for path in paths]]
        venues, symbols = (self._database.execute(sql, files).fetchone() for sql in (VENUES, SYMBOLS))
        assert venues is not None
        assert symbols is not None
        return Week(venues[0], symbols[0], symbols[1])

    def difference(self, before: Path, after: Path) -> tuple[int, int, int]:
        """A full join by natural key."""
        found = self._database.execute(DIFFERENCE, [[str(before)], [str(after)]]).fetchone()
        assert found is not None
        return found[0], found[1], found[2]

    def of_symbol(self, paths: Sequence[Path], symbol: str) -> int:
        """A filtered scan."""
        given = [[str(path) for path in paths], symbol]
        return len(self._database.execute("SELECT * FROM read_parquet(?) WHERE symbol = ?", given).fetchall())
