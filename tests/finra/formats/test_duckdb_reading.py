"""An independent judge: DuckDB reads the same raw lines, and finds the same rows and sums."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.content import Content
from pipeline.finra.payloads import Part, PartName, pack
from pipeline.finra.samples import Size, render
from tests.finra.web_files import read

# As text, and with nothing that quotes or escapes.
LINES = "read_csv(?, delim='|', quote='', escape='', comment='', header=true, all_varchar=true, strict_mode=true)"
ROWS = f"""
    SELECT coalesce(issueSymbolIdentifier, ''), coalesce(issueName, ''), coalesce(MPID, ''), marketParticipantName,
        totalWeeklyShareQuantity::DECIMAL(18,6), totalWeeklyTradeCount::BIGINT, lastUpdateDate::DATE
    FROM {LINES}"""
SUMS = f"""
    SELECT count(*), sum(totalWeeklyShareQuantity::DECIMAL(18,6)), sum(totalWeeklyTradeCount::BIGINT)::BIGINT,
        max(lastUpdateDate::DATE) FROM {LINES}"""
READ = ("symbol", "issue_name", "mpid", "venue_name", "shares", "trades", "last_update_date")


def check(content: Content, files: list[Path]) -> None:
    """The rows and sums of a payload are DuckDB's of its files."""
    names = [str(path) for path in files]
    with duckdb.connect() as judge:
        rows = judge.execute(ROWS, [names]).fetchall()
        sums = judge.execute(SUMS, [names]).fetchone()
    assert content.rejects == []
    assert sorted(content.frame.select(READ).rows()) == sorted(rows)
    assert (content.rows_kept, content.shares, content.trades, content.newest_update) == sums


@pytest.mark.parametrize("tier", list(Tier))
def test_duckdb_finds_the_same_rows_in_both_files_of_a_sample(tier: Tier, tmp_path: Path) -> None:
    key = PartitionKey(date(2025, 12, 26), tier)
    parts = tuple(Part(part, render(key, part, 7, Size.SMALL)) for part in PartName)
    for part in parts:
        (tmp_path / part.name).write_bytes(part.content)
    check(reader.read(*pack(parts), key, 0), [tmp_path / part.name for part in parts])


def test_duckdb_finds_the_same_rows_in_finras_real_files(shared_data: Path) -> None:
    files = sorted(shared_data.glob("otc_week_*.psv"))
    assert files
    for path in files:
        check(read(path.read_bytes(), max_reject_share=0), [path])
