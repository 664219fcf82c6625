"""What the metrics say of a ledger: the same as the dashboard and the doctor, to the figure."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask

from pipeline.engine import schedules
from pipeline.finra.calendar import Tier
from pipeline.metrics import exposition, reading
from pipeline.metrics.names import METRICS
from pipeline.metrics.samples import start_of
from pipeline.models import Anomaly, Category, Partition, Run, Severity, WorkerSign
from pipeline.review import dashboard
from tests.management.calling import call
from tests.management.publications import (
    DAY,
    OLDER_WEEK,
    OTC,
    ROWS,
    TIER_2,
    WEEK,
    content,
    publish,
    publish_week,
    restate,
)
from tests.metrics.scraping import Scrape
from tests.support.capturing import at_once
from tests.support.engines import Begin, Ledger

NOON = datetime(DAY.year, DAY.month, DAY.day, 17, tzinfo=UTC)


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """It is noon in New York, DAY, and the clock stands still."""
    with time_machine.travel(NOON, tick=False):
        yield


def two_weeks(source_dir: Path) -> None:
    """Two weeks are captured; then one tier is restated, and another refused."""
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    call("backfill", "--from", OLDER_WEEK, "--to", WEEK, "--run-date", DAY)
    restate(source_dir, OTC)
    publish(source_dir, TIER_2, content(TIER_2, ROWS[:1]))
    call("run_weekly", "--weeks", WEEK, "--run-date", DAY)


@pytest.fixture
def scrape(begin: Begin) -> Scrape:
    """The figures of those two weeks."""
    begin(two_weeks)
    return Scrape()


def test_an_empty_ledger_tells_every_counter_from_zero(ledger: Ledger) -> None:
    scrape = Scrape()
    assert scrape("ledger_up") == 1
    assert scrape("captures_total", tier="OTC", kind="RESTATEMENT") == 0
    assert scrape("finra_requests_total", endpoint="data", outcome="throttled") == 0
    assert scrape("anomalies_open", severity="CRITICAL", category="STALLED") == 0
    assert scrape.of("run_last_success_timestamp_seconds", "command") == {}
    counters = {metric.name for metric in METRICS if metric.name.endswith("_total")}
    told = {name for name, _ in scrape.samples}
    assert counters - told <= {"notification_attempts_total"}  # there is no channel yet


def test_partitions_stand_as_on_the_dashboard(scrape: Scrape) -> None:
    cells = [cell for week in dashboard.weeks() for cell, _ in week.cells]
    expected = Counter((cell.tier, str(cell.state)) for cell in cells)
    assert scrape.of("partitions", "tier", "state") == expected
    assert expected["NMS_TIER_2", "REFUSED"] == 1
    verdicts = Counter(
        (use, verdict.state if verdict else "UNJUDGED")
        for week in dashboard.weeks()
        for use, verdict in week.verdicts.items()
    )
    assert scrape.of("readiness_verdicts", "use", "state") == verdicts


def test_a_refused_restatement_is_not_overdue_and_what_is_not_captured_is(scrape: Scrape) -> None:
    unsettled = scrape.of("partition_unsettled_due_timestamp_seconds", "week_ending", "tier")
    captured = {(f"{partition.week_ending}", partition.tier) for partition in Partition.objects.exclude(latest=None)}
    assert len(captured) == 6
    assert not captured & unsettled.keys()
    cells = {(f"{cell.week_ending}", cell.tier): cell for week in dashboard.weeks() for cell, _ in week.cells}
    assert {place: start_of(cells[place[0], place[1]].due).timestamp() for place in unsettled} == unsettled
    assert scrape("tier_next_due_timestamp_seconds", tier="OTC") > NOON.timestamp()  # type: ignore[operator]


def test_captures_runs_and_anomalies_are_told_to_the_figure(scrape: Scrape) -> None:
    assert scrape("capture_rows", tier="OTC") == len(ROWS)
    changes = {change: scrape("capture_row_changes", tier="OTC", change=change) for change in ("added", "changed")}
    assert changes == {"added": 0, "changed": 1}
    assert scrape.of("anomalies_open", "severity", "category") == Counter(
        Anomaly.objects.open().values_list("severity", "category")
    )
    newest = Run.objects.get(command="run_weekly")
    finish = scrape("run_last_finish_timestamp_seconds", trigger="CLI", command="run_weekly")
    assert newest.finished_at
    assert finish == newest.finished_at.timestamp()
    assert scrape("run_last_success_timestamp_seconds", trigger="CLI", command="run_weekly") is None
    assert scrape.of("runs_open", "trigger") == {}


def test_what_happened_is_counted(scrape: Scrape) -> None:
    assert scrape.of("captures_total", "tier", "kind") == {
        **{(tier.value, "FIRST"): 2 for tier in Tier},
        ("OTC", "RESTATEMENT"): 1,
    }
    assert scrape.of("partition_outcomes_total", "tier", "outcome") == {
        **{(tier.value, "INGESTED"): 2 for tier in Tier},
        ("NMS_TIER_1", "UNCHANGED"): 1,
        ("NMS_TIER_2", "REFUSED"): 1,
        ("OTC", "RESTATED"): 1,
    }
    assert scrape.of("work_attempts_total", "outcome") == {("done",): 9}
    ended = scrape.of("runs_finished_total", "trigger", "command", "status")
    assert ended == Counter(Run.objects.values_list("trigger", "command", "status"))
    assert scrape.of("anomalies_total", "severity", "category") == Counter(
        Anomaly.objects.values_list("severity", "category")
    )


def test_prometheus_takes_the_text(scrape: Scrape) -> None:
    assert b"_created" not in scrape.text
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    ran = subprocess.run(["promtool", "check", "metrics"], input=scrape.text, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_schedules_that_owe_or_ask_for_what_cannot_be_are_told(ledger: Ledger) -> None:
    row = PeriodicTask.objects.get(name="weekly run")
    PeriodicTask.objects.filter(pk=row.pk).update(start_time=NOON - timedelta(days=30))
    [due] = [due for due in schedules.owed(NOON) if due.schedule == row.name]
    assert Scrape()("schedule_owed_timestamp_seconds", schedule=row.name) == due.slot.timestamp()
    PeriodicTask.objects.filter(pk=row.pk).update(kwargs='{"lookback_weeks": "six"}')
    scrape = Scrape()
    assert scrape("schedule_invalid", schedule=row.name) == 1
    assert scrape("schedule_owed_timestamp_seconds", schedule=row.name) is None
    PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
    scrape = Scrape()
    assert (scrape("schedule_invalid", schedule=row.name), scrape("schedule_enabled", schedule=row.name)) == (0, 0)


def test_signs_of_life_are_those_of_the_dashboard(ledger: Ledger) -> None:
    for machine, ago in (("a", 60), ("b", 3600), ("c", 2 * 86400)):
        WorkerSign.objects.create(machine=machine, seen_at=NOON - timedelta(seconds=ago))
    scrape = Scrape()
    assert scrape.of("workers", "state") == {("live",): 1, ("silent",): 1}
    assert scrape("worker_last_seen_timestamp_seconds") == NOON.timestamp() - 60
    assert scrape("beat_last_fired_timestamp_seconds") is None
    assert scrape("engine_distributed") == 0


@pytest.mark.each_database
def test_a_reading_writes_nothing_and_keeps_nobody_from_writing(ledger: Ledger) -> None:
    def write() -> Anomaly:
        return Anomaly.objects.record(Category.INTERNAL, Severity.ERROR, "written meanwhile")

    with reading.read_only():
        assert Anomaly.objects.count() == 0
        at_once(write)
        assert Anomaly.objects.count() == 0  # one state of the ledger, from the first question to the last
    assert Anomaly.objects.count() == 1
    with pytest.raises(DatabaseError), reading.read_only():
        write()
    Anomaly.objects.all().delete()


def test_a_reading_serves_for_fifteen_seconds(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    exposition.collector.forget()
    clock = 1000.0
    monkeypatch.setattr("pipeline.metrics.exposition.time.monotonic", lambda: clock)
    first = exposition.text()
    with CaptureQueriesContext(connection) as asked:
        assert exposition.text() == first
        assert len(asked) == 0
        clock += 15.1
        exposition.text()
    assert len(asked) > 10


def test_while_the_ledger_cannot_be_read_its_last_figures_stay(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    WorkerSign.objects.create(machine="a", seen_at=NOON)
    before = Scrape()
    broken: Callable[[], object] = lambda: connection.cursor().execute("SELECT * FROM no_such_table")  # noqa: E731
    monkeypatch.setattr("pipeline.metrics.reading.schema.pending", broken)
    with time_machine.travel(NOON + timedelta(minutes=10), tick=False):
        scrape = Scrape()
    assert (before("ledger_up"), scrape("ledger_up")) == (1, 0)
    assert scrape.of("build_info", "version") == {("0.1.0",): 1}
    assert scrape("worker_last_seen_timestamp_seconds") == NOON.timestamp()
    assert scrape("ledger_read_timestamp_seconds") == NOON.timestamp()
    assert scrape("migrations_pending") is None
    assert "the metrics cannot be read" in caplog.text


def test_more_weeks_take_no_more_questions(begin: Begin, source_dir: Path) -> None:
    publish_week(source_dir)
    call("backfill", "--weeks", WEEK, "--run-date", DAY)
    with CaptureQueriesContext(connection) as of_one:
        Scrape()
    publish_week(source_dir, OLDER_WEEK)
    call("backfill", "--weeks", OLDER_WEEK, "--run-date", DAY)
    with CaptureQueriesContext(connection) as of_two:
        Scrape()
    assert len(of_two) == len(of_one)
