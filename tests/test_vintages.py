"""Row versions: each vintage has exactly its rows, whatever came after it, and a restatement writes what differs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from pipeline import captures
from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey, Tier
from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.models import Capture, Partition, RowVersion, Security
from pipeline.row_versions import CorruptVintage, NoSuchVintage, RowChange, RowKey, RowValues
from tests.capturing import DAY, KEY, NOON, WEEK, captured, counts, hours_later, latest, rows_at, text_of, version
from tests.engines import Ledger
from tests.sources_in_memory import MemorySource, psv, row

pytestmark = pytest.mark.usefixtures("few_rows")

A = [row("AAPL", "UBSA", 100, 2), row("MSFT", "UBSA", "25.25"), row("BRK.B", "SGMT", 7)]
B = [row("AAPL", "UBSA", 101, 2), row("MSFT", "UBSA", "25.25"), row("NEWW", "SGMT", 9)]
ROWS_OF_A = ["AAPL UBSA 100 2", "BRK.B SGMT 7 1", "MSFT UBSA 25.25 1"]
ROWS_OF_B = ["AAPL UBSA 101 2", "MSFT UBSA 25.25 1", "NEWW SGMT 9 1"]
T1 = PartitionKey(WEEK, Tier.NMS_TIER_1)


def ranges(symbol: str) -> list[tuple[int, int | None]]:
    """The version ranges of a symbol's rows, in order."""
    rows = RowVersion.objects.filter(security__symbol=symbol).order_by("first_version")
    return list(rows.values_list("first_version", "last_version"))


@pytest.mark.promise(1)
def test_a_restatement_undone_is_a_third_capture_with_the_first_ones_rows(ledger: Ledger) -> None:
    source = MemorySource()
    first, second, third = captured(source, A), captured(source, B), captured(source, A)
    assert [rows_at(capture) for capture in (first, second, third)] == [ROWS_OF_A, ROWS_OF_B, ROWS_OF_A]
    assert latest() == ROWS_OF_A
    assert Partition.objects.get().latest == third
    assert [counts(capture) for capture in (first, second, third)] == [(3, 0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 1)]
    assert vintages.difference(first, third) == []
    assert vintages.difference(second, second) == []


def test_a_row_removed_and_returned_holds_in_two_ranges(ledger: Ledger) -> None:
    source = MemorySource()
    without = [*A, row("IBM", "UBSA", 1), row("F", "UBSA", 1)]
    with_it = [*without, row("GONE", "UBSA", 5)]
    for lines in (with_it, without, with_it, without):
        captured(source, lines)
    assert ranges("GONE") == [(1, 1), (3, 3)]
    assert ranges("AAPL") == [(1, None)]
    assert ["GONE UBSA 5 1" in rows_at(version(number)) for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_a_difference_has_each_row_before_and_after(ledger: Ledger) -> None:
    source = MemorySource()
    first = captured(source, A)
    second = captured(source, B)
    values = {shares: RowValues(Decimal(shares), trades, None, "2025-12-15") for shares, trades in ((7, 1), (9, 1))}
    apple = RowKey("AAPL", "AAPL Inc", "UBSA", "", "", "")
    berkshire, newcomer = (
        RowKey("BRK.B", "BRK.B Inc", "SGMT", "", "", ""),
        RowKey("NEWW", "NEWW Inc", "SGMT", "", "", ""),
    )
    was, now = (RowValues(Decimal(shares), 2, None, "2025-12-15") for shares in (100, 101))
    changes = vintages.difference(first, second)
    assert changes == [
        RowChange(apple, was, now),
        RowChange(berkshire, values[7], None),
        RowChange(newcomer, None, values[9]),
    ]
    assert [change.kind for change in changes] == ["changed", "removed", "added"]
    backwards = vintages.difference(second, first)
    assert backwards == [RowChange(change.key, change.after, change.before) for change in changes]


def test_a_difference_passes_over_what_changed_and_changed_back_between(ledger: Ledger) -> None:
    source = MemorySource()
    first = captured(source, A)
    captured(source, B)
    fourth_row = row("LAST", "UBSA", 1)
    third = captured(source, [*A, fourth_row])
    assert [(change.key.symbol, change.kind) for change in vintages.difference(first, third)] == [("LAST", "added")]


def test_two_partitions_have_no_difference(ledger: Ledger) -> None:
    source = MemorySource()
    other = captured(source, [row("AAPL", "UBSA", 1, tier=Tier.NMS_TIER_1)], key=T1)
    with pytest.raises(ValueError, match="captures of two partitions"):
        vintages.difference(captured(source, A), other)


def test_a_symbol_in_two_tiers_is_one_security_with_a_row_in_each(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, [row("AAPL", "UBSA", 1, tier=Tier.NMS_TIER_1)], key=T1)
    captured(source, [row("AAPL", "UBSA", 2)])
    captured(source, [row("AAPL", "UBSA", 3)])
    assert text_of(vintages.latest([T1])) == ["AAPL UBSA 1 1"]
    assert latest() == ["AAPL UBSA 3 1"]
    assert Security.objects.get().symbol == "AAPL"


def test_two_issue_names_under_one_symbol_and_symbols_in_two_cases_are_rows_apart(ledger: Ledger) -> None:
    source = MemorySource()
    names = [row("ABRpD", "UBSA", 1, issue="old issuer"), row("ABRpD", "UBSA", 2, issue="new issuer")]
    captured(source, [*names, row("ABRPD", "UBSA", 3, issue="old issuer"), row("", "UBSA", 4, issue="no symbol")])
    assert latest() == [" UBSA 4 1", "ABRPD UBSA 3 1", "ABRpD UBSA 1 1", "ABRpD UBSA 2 1"]
    captured(
        source,
        [names[0], row("ABRpD", "UBSA", 5, issue="new issuer"), row("", "UBSA", 4, issue="no symbol")],
        force=True,
    )
    assert latest() == [" UBSA 4 1", "ABRpD UBSA 1 1", "ABRpD UBSA 5 1"]


@pytest.mark.promise(5)
def test_as_of_is_answered_by_the_instant_since_which_rows_are_known(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(0):
        captured(source, A)
    with hours_later(2):
        captured(source, B)
    with hours_later(9):
        answers = {
            minutes: text_of(vintages.as_of(NOON + timedelta(minutes=minutes), [KEY]))
            for minutes in (-1, 0, 119, 120, 540)
        }
        moment_before = text_of(vintages.as_of(NOON + timedelta(hours=2) - timedelta(microseconds=1), [KEY]))
    assert answers == {-1: [], 0: ROWS_OF_A, 119: ROWS_OF_A, 120: ROWS_OF_B, 540: ROWS_OF_B}
    assert moment_before == ROWS_OF_A


@pytest.mark.promise(5)
def test_an_archived_capture_is_known_since_its_rows_are_stored(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(0):
        captured(source, A, normalize=False)
        with pytest.raises(NoSuchVintage, match="its rows are not stored yet"):
            vintages.of_capture(version(1))
    with hours_later(2):
        captures.normalize_awaiting(KEY, Terms(run_date=DAY))
        assert text_of(vintages.as_of(NOON + timedelta(hours=1), [KEY])) == []
        assert text_of(vintages.as_of(NOON + timedelta(hours=2), [KEY])) == ROWS_OF_A


@pytest.mark.promise(5)
def test_a_clock_that_goes_back_does_not_reorder_vintages(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(5):
        captured(source, A)
    with hours_later(1):
        captured(source, B)
    with hours_later(6):
        assert text_of(vintages.as_of(NOON + timedelta(hours=5), [KEY])) == ROWS_OF_A
        assert text_of(vintages.as_of(NOON + timedelta(hours=5, microseconds=1), [KEY])) == ROWS_OF_B


@pytest.mark.promise(5)
def test_what_is_to_come_and_what_retention_removed_are_not_answered(ledger: Ledger) -> None:
    source = MemorySource()
    with hours_later(0):
        captured(source, A)
    with hours_later(2):
        captured(source, B)
    with hours_later(3), pytest.raises(NoSuchVintage, match="yet to come"):
        vintages.as_of(NOON + timedelta(hours=3, microseconds=1), [KEY])
    Capture.objects.filter(version=1).update(pruned_at=NOON)
    with pytest.raises(NoSuchVintage, match="its rows were given up at"):
        vintages.as_of(NOON, [KEY])
    with pytest.raises(NoSuchVintage, match="its rows were given up at"):
        vintages.difference(version(1), version(2))
    assert text_of(vintages.as_of(NOON + timedelta(hours=2), [KEY])) == ROWS_OF_B


def test_the_view_of_latest_rows_is_what_python_reads(ledger: Ledger) -> None:
    source = MemorySource()
    source.publish(
        T1,
        psv(row("AAPL", "UBSA", 1, tier=Tier.NMS_TIER_1)),
        psv(row("AAPL", "", 50, 4, name="Firm", tier=Tier.NMS_TIER_1)),
    )
    captures_made = [captured(source, A), captured(source, B)]
    captured(source, A, normalize=False)
    assert ingest.ingest(T1, source, Terms(run_date=DAY)).capture is not None
    found = select(
        "SELECT tier, capture_id, symbol, venue_kind, mpid, venue_name, shares_micros, trades, shares FROM latest_rows"
    )
    assert {line[1] for line in found if line[0] == "OTC"} == {captures_made[1].capture_id}
    viewed = sorted(
        f"{symbol} {mpid or name} {Decimal(micros) / 10**6} {trades}"
        for _, _, symbol, _, mpid, name, micros, trades, _ in found
    )
    assert viewed == text_of(vintages.latest([KEY, T1])) == sorted([*ROWS_OF_B, "AAPL UBSA 1 1", "AAPL Firm 50 4"])
    assert all(Decimal(str(shares)) == Decimal(micros) / 10**6 for *_, micros, _, shares in found)


def select(query: str) -> list[tuple[Any, ...]]:
    """What plain SQL reads."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_a_row_that_is_not_there_to_be_closed_stops_the_store(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    RowVersion.objects.filter(security__symbol="AAPL").delete()
    source.publish_rows(KEY, B)
    with pytest.raises(CorruptVintage, match="2 rows were to be closed before version 2, 1 were"):
        ingest.ingest(KEY, source, Terms(run_date=DAY))
    assert Partition.objects.get().newest_version == 1
    assert latest() == ["BRK.B SGMT 7 1", "MSFT UBSA 25.25 1"]
