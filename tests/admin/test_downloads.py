"""Tables for download: exact figures, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import polars as pl
import pytest
from django.http import StreamingHttpResponse

from pipeline.admin.shared import downloads
from tests.support.engines import Ledger

SHARES = pl.Decimal(18, 6)


def cells(table: pl.DataFrame) -> list[list[str]]:
    response = downloads.as_csv("table", table)
    assert isinstance(response, StreamingHttpResponse)
    return list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))[1:]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_would_start_a_formula_gets_an_apostrophe(ledger: Ledger, start: str) -> None:
    assert cells(pl.DataFrame({"text": [f"{start}1+1", "1=1", 'a "b", c']})) == [
        [f"'{start}1+1"],
        ["1=1"],
        ['a "b", c'],
    ]


def test_decimals_are_exact_and_without_trailing_zeros_and_null_is_nothing(ledger: Ledger) -> None:
    figures = [
        Decimal("100.500000"),
        Decimal(100),
        Decimal(0),
        Decimal("0.000001"),
        Decimal("999999999999.999999"),
        None,
    ]

    table = pl.DataFrame({"shares": figures, "trades": [1] * len(figures)}, {"shares": SHARES, "trades": pl.Int64})

    assert [row[0] for row in cells(table)] == ["100.5", "100", "0", "0.000001", "999999999999.999999", ""]


def test_a_long_table_is_sent_in_pieces(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ROWS_AT_ONCE", 2)

    assert cells(pl.DataFrame({"trades": range(5)})) == [["0"], ["1"], ["2"], ["3"], ["4"]]
