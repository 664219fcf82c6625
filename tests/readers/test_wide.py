"""A symbol with a column for each venue: the cells of the long form, what is left in `other`, and that it all adds up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipeline import readers
from pipeline.readers.written import Format, encoded
from tests.readers.test_rows import kind_of
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
OLD = KEY._replace(week_ending=WEEK - timedelta(days=7))
NAMES = ["week_ending", "week_start", "tier", "symbol", "issue_name", "row_total"]


@pytest.fixture(autouse=True)
def _two_weeks(ledger: Ledger) -> None:
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 2)], NOON, key=OLD)
    stored([("AAA", "UBSA", "30", 5), ("AAA", "A firm", "150", 3), ("AAA", "other", "20", 4)], NOON)


def wide(**asked: str) -> readers.Result:
    return readers.symbol_venues(symbol="AAA", weeks="all", tier="OTC", shape="wide", **asked)


def test_each_venue_is_a_column_and_the_small_ones_are_one() -> None:
    found = wide(value="shares", top="2")

    assert found.frame.columns == [*NAMES, "A firm", "UBSA", "other"]
    assert found.frame.drop(NAMES[1:5]).rows() == [
        (OLD.week_ending, Decimal(100), None, Decimal(60), Decimal(40)),
        (WEEK, Decimal(200), Decimal(150), Decimal(30), Decimal(20)),
    ]
    summary = found.summary
    assert (summary.columns, summary.value, str(summary.unreconciled)) == (("A firm", "UBSA"), "shares", "0.000000")
    assert (summary.row_total, summary.sum_of_venues, summary.other) == (300, 240, 60)


def test_a_column_has_the_figure_that_is_asked_for() -> None:
    for value, old, new in (
        ("share", (None, 0.6, 0.4), (0.75, 0.15, 0.1)),
        ("trades", (None, 6, 2), (3, 5, 4)),
        ("average_trade_size", (None, 10.0, 20.0), (50.0, 6.0, 5.0)),
    ):
        found = wide(value=value, top="2").frame.drop(NAMES).rows()
        assert found == [pytest.approx(old), pytest.approx(new)], value
    assert wide().frame.columns == [*NAMES, "A firm", "UBSA", "SGMT", "other (NON_ATS)", "other"]  # a firm called so


def test_a_name_of_a_column_begins_no_formula_in_a_file_for_spreadsheets() -> None:
    stored([("AAA", "=1+1", "30", 5)], NOON)
    name, header = "=1+1", encoded(wide(), Format.CSV).content.decode().partition("\n")[0]
    assert header.split(",")[len(NAMES) :].count(name) == 1
    safe = encoded(wide(), Format.CSV, spreadsheet_safe=True).content.decode().partition("\n")[0]
    assert safe == header.replace(name, f"'{name}")


def test_pages_and_files_of_the_wide_form_are_the_same_rows() -> None:
    found = wide()
    first = found.page(None, 1)
    assert first.next is not None
    assert [*first.frame.rows(), *found.page(first.next, 1).frame.rows()] == found.frame.rows()
    assert found.narrowed(["week_ending", "row_total"]).frame.columns == ["week_ending", "row_total"]
    assert kind_of(lambda: found.narrowed(["UBSA"])) == "unknown-field"
    assert wide().etag != wide(top="1").etag != wide(value="shares").etag
    assert wide(venue_kind="ATS").frame["row_total"].to_list() == [100, 30]
    for name, value in (("value", "shares"), ("top", "3")):
        assert kind_of(lambda name=name, value=value: readers.symbol_venues(symbol="AAA", **{name: value})) == (  # type: ignore[misc]
            "invalid-parameter"
        )


def test_a_venue_s_share_is_of_the_symbol_and_not_of_what_is_shown() -> None:
    found = readers.symbol_venues(symbol="AAA", weeks="all", mpid="UBSA").frame
    assert found["share"].to_list() == [0.6, 0.15]
    [both] = readers.symbol_venues(symbol="AAA", tier="ALL", mpid="UBSA").frame.select("tier", "share").rows()
    assert both == ("ALL", 0.15)
