"""A week is calculated and judged by one process at a time, from what is newest when its turn comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import TypeVar

import polars as pl
import pytest
from django.db import connections, transaction

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Category,
    Partition,
    Readiness,
    ReadinessState,
    Severity,
    Use,
)
from pipeline.weeks import analytics, readiness
from pipeline.weeks.analytics import Calculated
from pipeline.weeks.concentration import Figures, figures_of
from tests.support.capturing import DAY, KEY, PATIENCE, WEEK, captured
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

pytestmark = [pytest.mark.each_database, pytest.mark.usefixtures("few_rows")]

UNTIL_IT_WAITS = 0.3
T = TypeVar("T")


def lines(shares: int, tier: Tier = Tier.OTC, updated: date = date(2025, 12, 15)) -> list[str]:
    return [row("A", "AAAA", shares, tier=tier, updated=str(updated)), row("A", "BBBB", 1, tier=tier)]


def elsewhere(pool: ThreadPoolExecutor, act: Callable[[], T]) -> Future[T]:
    """`act`, begun in a thread with a connection of its own, as far as it comes before it waits for this one."""

    def run() -> T:
        try:
            return act()
        finally:
            connections.close_all()

    begun = pool.submit(run)
    time.sleep(UNTIL_IT_WAITS)
    return begun


def capture_all() -> MemorySource:
    """Every tier of the week, calculated."""
    source = MemorySource()
    for tier in Tier:
        captured(source, lines(1, tier), key=PartitionKey(WEEK, tier))
    analytics.calculate_week(WEEK)
    return source


@pytest.mark.promise(10)
def test_a_calculation_waits_for_a_restatement_that_is_being_stored(ledger: Ledger) -> None:
    source = capture_all()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            second = captured(source, lines(2))
            begun = elsewhere(pool, lambda: analytics.calculate_week(WEEK))
        calculated = begun.result(PATIENCE)
    assert calculated.outcome == "COMPUTED"
    assert calculated.snapshot is not None
    assert second in calculated.snapshot.inputs.all()


@pytest.mark.promise(10)
def test_a_restatement_that_lands_while_a_week_is_calculated_is_calculated_next(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, lines(1))

    def restate() -> Calculated:
        captured(source, lines(2))
        return analytics.calculate_week(WEEK)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            analytics.calculate_week(WEEK)
            begun = elsewhere(pool, restate)
        restated = begun.result(PATIENCE)
    found = AnalyticsSnapshot.objects.order_by("sequence").values_list("sequence", "inputs__version")
    assert list(found) == [(1, 1), (2, 2)]
    assert restated.snapshot == analytics.newest_snapshot(WEEK)
    assert analytics.is_current(restated.snapshot, analytics.inputs_of(WEEK))


@pytest.mark.promise(10)
def test_a_restatement_does_not_wait_while_a_week_is_computed_and_is_computed_instead(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, seen = MemorySource(), list[int]()
    captured(source, lines(1))

    def restated_meanwhile(rows: pl.LazyFrame) -> Figures:
        if not seen:
            with ThreadPoolExecutor(1) as pool:
                seen.append(elsewhere(pool, lambda: captured(source, lines(2))).result(PATIENCE).version)
        return figures_of(rows)

    monkeypatch.setattr(analytics, "figures_of", restated_meanwhile)
    calculated = analytics.calculate_week(WEEK)

    assert seen == [2]
    assert list(AnalyticsSnapshot.objects.values_list("sequence", "inputs__version")) == [(1, 2)]
    assert analytics.is_current(calculated.snapshot, analytics.inputs_of(WEEK))


@pytest.mark.promise(10)
def test_a_verdict_waits_for_a_capture_that_is_being_stored(ledger: Ledger) -> None:
    source = capture_all()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            captured(source, lines(2), normalize=False)
            begun = elsewhere(pool, lambda: readiness.decide_week(WEEK, DAY))
        verdicts = begun.result(PATIENCE)
    assert verdicts[Use.TRADING].state == ReadinessState.BLOCKED
    assert Readiness.objects.get(use=Use.TRADING).reasons == [
        "2025-11-14 OTC: version 2 is archived, its rows are not stored"
    ]


def test_what_a_partition_records_does_not_wait_for_the_weeks_calculation(ledger: Ledger) -> None:
    if ledger.engine == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    capture_all()
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Partition.objects.lock_week(WEEK)
        noted = elsewhere(pool, note_on_partition)
        assert noted.result(PATIENCE) > 0


def note_on_partition() -> int:
    """Write a row that refers to the partition; its id."""
    partition = Partition.objects.get(week_ending=WEEK, tier=KEY.tier)
    return Anomaly.objects.record(Category.LATE, Severity.WARN, "late", partition=partition).pk
