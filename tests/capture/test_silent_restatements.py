"""Rows that changed and kept their lastUpdateDate: what is said of them, of which captures, and when it is over."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from pipeline import operations
from pipeline.models import Anomaly, Capture, Category, Event, Notice, Severity, Tally
from pipeline.operations import Order
from pipeline.weeks import readiness
from tests.support.capturing import DAY, WEEK, captured
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

MOVED = "2025-12-16"
FIRST = [row("AAPL", "UBSA", 100, 2), row("MSFT", "UBSA", "50.5", 2), row("F", "SGMT", 7, 1)]
DATED = [FIRST[0], row("MSFT", "UBSA", 40, 3, updated=MOVED), FIRST[2]]
SILENT = [row("AAPL", "UBSA", 90, 2), row("MSFT", "UBSA", 40, 3, updated=MOVED), row("F", "SGMT", 7, 2)]
TOUCHED = [row("AAPL", "UBSA", 100, 2, updated=MOVED), *FIRST[1:]]


@pytest.fixture
def source(ledger: Ledger, settings: Settings) -> MemorySource:
    settings.MARKETSPINE_MAX_RESTATED_SHARE = 1.0
    return MemorySource()


def silent() -> list[tuple[str, int, bool]]:
    found = Anomaly.objects.filter(category=Category.RESTATED_SILENTLY)
    return [(one.message, one.occurrences, one.resolved_at is None) for one in found]


def test_rows_that_changed_and_kept_their_date_are_told(source: MemorySource) -> None:
    captured(source, FIRST)
    after = captured(source, SILENT)
    [anomaly] = Anomaly.objects.all()

    assert anomaly.message == (
        "version 2, captured on 2025-12-26: 2 of 3 changed rows kept their lastUpdateDate. The largest: "
        "AAPL at UBSA 100 -> 90 shares; F at SGMT 1 -> 2 trades"
    )
    assert (anomaly.category, anomaly.severity, anomaly.stage) == ("RESTATED_SILENTLY", Severity.INFO, "NORMALIZED")
    assert (anomaly.partition, anomaly.payload_sha256) == (after.partition, after.payload_sha256)
    told = Notice.objects.get(event=Event.ANOMALY)
    assert (told.category, told.severity, told.what.partition(":")[0]) == (
        "RESTATED_SILENTLY",
        "INFO",
        "restated, and lastUpdateDate did not move",
    )
    counted = Tally.objects.sums()["anomalies"]
    assert counted == {(("category", "RESTATED_SILENTLY"), ("severity", "INFO")): 1}


@pytest.mark.parametrize("lines", [DATED, TOUCHED, FIRST[1:], [*FIRST, row("GM", "UBSA", 3)]])
def test_rows_that_moved_their_date_came_or_went_are_not_silent(source: MemorySource, lines: list[str]) -> None:
    captured(source, FIRST)
    assert captured(source, lines).version == 2
    assert silent() == []


def test_a_forced_capture_is_no_silent_restatement(source: MemorySource) -> None:
    captured(source, FIRST)
    captured(source, SILENT, force=True)
    assert (Capture.objects.count(), silent()) == (2, [])


def test_it_stands_against_no_week(source: MemorySource) -> None:
    captured(source, FIRST)
    captured(source, SILENT)
    assert [is_open for *_, is_open in silent()] == [True]
    assert not any("RESTATED_SILENTLY" in verdict.codes for verdict in readiness.assess(WEEK, DAY).values())


def test_annulling_the_capture_ends_it_and_annulling_another_does_not(source: MemorySource) -> None:
    captured(source, FIRST)
    wrong = captured(source, SILENT)
    later = captured(source, [*SILENT, row("GM", "UBSA", 3)])
    order = Order(operator="ann", reason="altered on its way")

    operations.annul(later, order)
    assert [is_open for *_, is_open in silent()] == [True]
    operations.annul(wrong, order)
    assert [is_open for *_, is_open in silent()] == [False]
    assert Anomaly.objects.get(category=Category.RESTATED_SILENTLY).note.endswith(f"{wrong} was annulled")
    assert Capture.objects.latest("version").content_hash == Capture.objects.get(version=1).content_hash


def test_annulling_the_later_of_two_leaves_the_earlier_one_open(source: MemorySource) -> None:
    captured(source, FIRST)
    captured(source, SILENT)
    later = captured(source, [SILENT[0], SILENT[1], row("F", "SGMT", 7, 3)])

    operations.annul(later, Order(operator="ann", reason="altered on its way"))
    standing = Anomaly.objects.open().filter(category=Category.RESTATED_SILENTLY)
    assert [one.message.partition(",")[0] for one in standing] == ["version 2"]
