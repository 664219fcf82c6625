"""`diff_captures`: what changed from one vintage to another, in three forms."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, WEEK, capture_id, content, publish
from tests.support.engines import Begin, Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

HEAD = [
    "change",
    "symbol",
    "issue_name",
    "mpid",
    "crd",
    "firm",
    "product_type",
    "shares_before",
    "shares_after",
    "trades_before",
    "trades_after",
    "notional_before",
    "notional_after",
    "last_update_date_before",
    "last_update_date_after",
]
NONE = ["", "", ""]  # neither a CRD number nor a firm nor a product type
EMPTY = {"crd", "firm", "product_type", "notional_before", "notional_after"}
RESTATED = (("AAPL", "UBSA", "101.000001", 3), ROWS[1], ROWS[2], ("NEWW", "SGMT", "7.5", 1), ("ZZYY", "SGMT", "1", 1))
CHANGES = [  # those of which most shares moved first
    ["added", "NEWW", "NEWW Inc", "SGMT", *NONE, "", "7.5", "", "1", "", "", "", "2025-12-16"],
    ["removed", "ZZZZ", "ZZZZ Inc", "SGMT", *NONE, "4", "", "1", "", "", "", "2025-12-15", ""],
    ["added", "ZZYY", "ZZYY Inc", "SGMT", *NONE, "", "1", "", "1", "", "", "", "2025-12-17"],
    ["changed", "AAPL", "AAPL Inc", "UBSA", *NONE, "100.5", "101.000001", "3", "3", "", "", "2025-12-15", "2025-12-19"],
]


def two_vintages(source_dir: Path) -> None:
    for rows in (ROWS, RESTATED):
        publish(source_dir, OTC, content(OTC, rows))
        assert call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY).code == 0


@pytest.fixture
def vintages(begin: Begin) -> tuple[str, str]:
    """The ids of two vintages of a partition."""
    begin(two_vintages)
    return capture_id(OTC), capture_id(OTC, 2)


def test_as_csv(vintages: tuple[str, str]) -> None:
    ran = call("diff_captures", *vintages, "--format", "csv")

    assert ran.code == 0
    assert list(csv.reader(io.StringIO(ran.out))) == [HEAD, *CHANGES]


@pytest.mark.parametrize("form", [("--format", "json"), ("--json",), ("--json", "--format", "csv")])
def test_as_one_document(vintages: tuple[str, str], form: tuple[str, ...]) -> None:
    ran = call("diff_captures", *vintages, *form)

    assert ran.document == {
        "before": vintages[0],
        "after": vintages[1],
        "changes": [dict(zip(HEAD, change, strict=True)) for change in CHANGES],
    }


def test_as_a_table(vintages: tuple[str, str]) -> None:
    lines = call("diff_captures", *vintages).lines

    assert lines[0] == f"{vintages[0]} -> {vintages[1]}: 4 rows differ:"
    assert lines[1].split() == [name for name in HEAD if name not in EMPTY]
    assert [line.split()[:2] for line in lines[2:]] == [change[:2] for change in CHANGES]


def test_the_other_way_round_what_was_added_is_removed(vintages: tuple[str, str]) -> None:
    changes = call("diff_captures", *reversed(vintages), "--json").document["changes"]

    assert [change["change"] for change in changes] == ["removed", "added", "removed", "changed"]


def test_a_capture_does_not_differ_from_itself(vintages: tuple[str, str]) -> None:
    ran = call("diff_captures", vintages[0], vintages[0])

    assert (ran.code, ran.lines[0]) == (0, f"{vintages[0]} -> {vintages[0]}: 0 rows differ:")
    assert call("diff_captures", vintages[1], vintages[1], "--format", "csv").lines == [",".join(HEAD)]


def test_a_capture_whose_rows_are_not_stored_yet_cannot_be_compared(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    call("run_weekly", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY, "--only-stage", "ingest")

    ran = call("diff_captures", capture_id(OTC), capture_id(OTC))

    assert ran.code == 2
    assert "its rows are not stored yet; run with --only-stage normalize" in ran.err
