"""pyarrow and pandas open a vintage file: the types of the design, decimals exact to the last digit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import polars as pl
import pyarrow.compute
import pyarrow.parquet
import pytest

from pipeline.finra.rows import SCHEMA
from pipeline.vintages.store import encoded

LARGEST = Decimal("999999999999.999999")
SMALLEST = Decimal("0.000001")
DOLLARS = Decimal("12345678901234567890123456789012.000001")
LOGICAL = {
    **dict.fromkeys(
        ("tier", "venue_kind", "symbol", "issue_name", "mpid", "crd", "venue_name", "product_type"), "String"
    ),
    **dict.fromkeys(("week_ending", "last_update_date"), "Date"),
    "shares": "Decimal(precision=18, scale=6)",
    "trades": "None",
    "notional": "Decimal(precision=38, scale=6)",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two rows with the extremes of what is kept."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names(), "x")
    row |= {"week_ending": date(2026, 2, 6), "last_update_date": date(2026, 3, 2), "trades": 10**12 - 1}
    large = row | {"shares": LARGEST, "notional": DOLLARS}
    small = row | {"symbol": 'Ä"|', "shares": SMALLEST, "notional": None}
    path = tmp_path / "v0001.parquet"
    path.write_bytes(encoded(pl.DataFrame([large, small], SCHEMA), {"capture_id": "an id", "version": "1"}))
    return path


def test_columns_have_the_types_of_the_design(file: Path) -> None:
    schema = pyarrow.parquet.ParquetFile(file).schema
    assert {schema.column(at).name: str(schema.column(at).logical_type) for at in range(len(schema))} == LOGICAL
    assert schema.column(schema.names.index("trades")).physical_type == "INT64"


def test_pyarrow_reads_exact_decimals_and_adds_them(file: Path) -> None:
    table = pyarrow.parquet.read_table(file)
    assert table["shares"].to_pylist() == [LARGEST, SMALLEST]
    assert table["notional"].to_pylist() == [DOLLARS, None]
    assert pyarrow.compute.sum(table["shares"]).as_py() == Decimal("1000000000000.000000")


def test_pandas_reads_exact_decimals_and_dates(file: Path) -> None:
    frame = pandas.read_parquet(file)
    assert list(frame.columns) == SCHEMA.names()
    assert list(frame["shares"]) == [LARGEST, SMALLEST]
    assert (list(frame["trades"]), list(frame["last_update_date"])) == ([10**12 - 1] * 2, [date(2026, 3, 2)] * 2)
    assert list(frame["symbol"]) == ["x", 'Ä"|']


def test_the_label_is_read_by_others(file: Path) -> None:
    metadata = pyarrow.parquet.read_metadata(file).metadata or {}
    assert (metadata[b"capture_id"], metadata[b"version"]) == (b"an id", b"1")


def test_files_are_compressed_with_zstd(file: Path) -> None:
    group = pyarrow.parquet.read_metadata(file).row_group(0)
    assert {group.column(at).compression for at in range(group.num_columns)} == {"ZSTD"}
