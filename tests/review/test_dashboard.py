"""How things stand, read from the ledger: each cell of the grid, the four figures, what is silent, the series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipeline.finra.calendar import due_date
from pipeline.models import Anomaly, Category, Run, Severity
from pipeline.review import alarms, dashboard, trends
from pipeline.review.dashboard import CellLabel
from tests.management.calling import call
from tests.management.publications import (
    DAY,
    NEWER_WEEK,
    OLDER_WEEK,
    OTC,
    ROWS,
    TIER_1,
    TIER_2,
    WEEK,
    content,
    publish,
    publish_week,
    restate,
)
from tests.support.engines import Ledger

NOON = datetime(DAY.year, DAY.month, DAY.day, 17, tzinfo=UTC)
MINUTES = [timedelta(minutes=n) for n in range(60)]


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """It is noon in New York, DAY, and the clock goes on."""
    with time_machine.travel(NOON):
        yield


@pytest.fixture
def weeks(ledger: Ledger, source_dir: Path) -> Path:
    """Two weeks are captured; then one tier is restated, another refused, a third unreadable, and looked at again."""
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    backfill("--from", OLDER_WEEK, "--to", WEEK)
    restate(source_dir, OTC)
    publish(source_dir, TIER_2, content(TIER_2, ROWS[:1]))
    publish(source_dir, TIER_1, b"<html>down</html>")
    backfill("--weeks", WEEK)
    return source_dir


def backfill(*arguments: object) -> None:
    call("backfill", *arguments, "--run-date", DAY)


def looks() -> dict[tuple[date, str], CellLabel]:
    return {(row.week_ending, cell.tier): seen for row in dashboard.weeks() for cell, seen in row.cells}


def test_each_cell_tells_how_its_partition_stands(weeks: Path) -> None:
    seen = looks()

    assert len(seen) == (6 + 4) * 3  # six weeks of which all tiers are due, four that are awaited
    assert [seen[WEEK, tier] for tier in ("NMS_TIER_1", "NMS_TIER_2", "OTC")] == [
        CellLabel.FAILED,
        CellLabel.REFUSED,
        CellLabel.RESTATED,
    ]
    assert seen[OLDER_WEEK, "OTC"] == CellLabel.READY
    assert seen[NEWER_WEEK, "NMS_TIER_1"] == CellLabel.MISSING
    assert seen[NEWER_WEEK, "OTC"] == CellLabel.NOT_YET_DUE
    backfill("--weeks", OLDER_WEEK)
    assert looks()[OLDER_WEEK, "OTC"] == CellLabel.UNCHANGED
    with time_machine.travel(NOON + timedelta(days=8)):
        assert looks()[WEEK, "OTC"] == CellLabel.READY


def test_a_partition_that_is_due_and_not_there_is_late(ledger: Ledger, source_dir: Path) -> None:
    backfill("--weeks", WEEK)
    assert {looks()[WEEK, tier] for tier in ("NMS_TIER_1", "NMS_TIER_2", "OTC")} == {CellLabel.LATE}


def test_the_figures_count_over_the_weeks_of_the_grid(weeks: Path) -> None:
    Anomaly.objects.record(Category.INTERNAL, Severity.CRITICAL, "our own", week_ending=WEEK)

    four = dashboard.figures(dashboard.weeks())

    assert (four.ready, four.blocked, four.awaiting) == (1, 1, 0)  # the others were never judged
    assert (four.missing, four.due) == (14, 20)
    assert four.anomalies == {"CRITICAL": 1, "ERROR": 2, "WARN": 0, "INFO": 0}
    assert four.last_run == Run.objects.latest("pk")


def test_the_number_of_queries_does_not_grow_with_the_ledger(weeks: Path) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            dashboard.figures(dashboard.weeks())
            alarms.raised()
        return len(asked)

    before = queries()
    for _ in range(2):
        publish_week(weeks, date(2025, 10, 31))
        backfill("--from", date(2025, 10, 31), "--to", WEEK)
    assert queries() == before <= 20


def test_the_series_hold_the_newest_snapshots_figures(weeks: Path) -> None:
    listed = trends.last_weeks()
    snapshots = trends.newest_snapshots(listed)
    older, newer = listed.index(OLDER_WEEK), listed.index(WEEK)

    shares = trends.venue_shares(listed, snapshots)
    assert list(shares.values) == ["UBSA", "SGMT"]
    assert shares.values["UBSA"][older] == pytest.approx(125.75 / 179.75)
    assert shares.values["UBSA"][listed.index(NEWER_WEEK)] is None

    hhi = trends.concentrations(listed, snapshots)
    ubsa, sgmt = 125.75 / 179.75, 54 / 179.75
    assert hhi.values["OTC"][older] == pytest.approx((ubsa**2 + sgmt**2) * 10_000)

    rows = trends.rows_held(listed)
    assert (rows.values["rows held"][newer], rows.values["rows restated"][newer]) == (12, 1)
    assert (rows.values["rows held"][older], rows.values["rows restated"][older]) == (12, 0)
    assert [(time.run_id, time.status) for time in trends.run_times()] == [(1, "SUCCEEDED"), (2, "FAILED")]


def test_of_more_than_ten_venues_the_rest_are_one(ledger: Ledger, source_dir: Path) -> None:
    venues = tuple(("AAPL", f"VEN{chr(65 + n)}", str(100 - n), 1) for n in range(12))
    for key in (TIER_1, TIER_2, OTC):
        publish(source_dir, key, content(key, venues, updated=due_date(key.tier, key.week_ending)))
    backfill("--weeks", WEEK)

    listed = trends.last_weeks()
    shares = trends.venue_shares(listed, trends.newest_snapshots(listed))

    assert list(shares.values) == [f"VEN{chr(65 + n)}" for n in range(10)] + ["others"]
    whole = sum(values[listed.index(WEEK)] or 0 for values in shares.values.values())
    assert whole == pytest.approx(1)


def test_without_anything_the_series_are_empty(ledger: Ledger) -> None:
    listed = trends.last_weeks()
    empty: list[Callable[[], trends.Series]] = [
        lambda: trends.venue_shares(listed, {}),
        lambda: trends.concentrations(listed, {}),
        lambda: trends.rows_held(listed),
    ]
    assert all(series().is_empty for series in empty)
    assert trends.run_times() == []
