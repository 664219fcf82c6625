"""Starting what the schedules owe: one run for each slot, whoever fires it, how often, and how many at once."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.conf import settings as configured
from django.db import transaction
from django_celery_beat.models import PeriodicTask
from kombu.transport.memory import Channel
from pytest_django import Settings

from marketspine import celery_app
from pipeline import task_names, tasks
from pipeline.engine import schedules
from pipeline.engine.beat import Scheduler
from pipeline.finra import sources
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources import SourceOptions
from pipeline.finra.sources.base import Source
from pipeline.finra.sources.files.source import FilesSource
from pipeline.models import Action, Anomaly, Category, Outcome, PartitionStatus, Run, RunStatus
from pipeline.runs import in_process, lifecycle
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.management.publications import DAY, OTC, TIER_1, TIER_2, WEEK, publish_week
from tests.support.capturing import PATIENCE, at_once
from tests.support.engines import Ledger

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = datetime(2025, 12, 15, 10, 30, tzinfo=NEW_YORK)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_messages() -> Iterator[None]:
    """What a test sends waits in this process's memory, and would be the next test's."""
    Channel.queues.clear()
    yield
    Channel.queues.clear()


@pytest.fixture(autouse=True)
def _installed(ledger: Ledger, source_dir: Path) -> None:
    """The product was installed at midnight before that Monday; it looks one week back."""
    begun = PeriodicTask.objects.filter(task=task_names.START_SCHEDULED)
    begun.update(start_time=datetime(2025, 12, 15, tzinfo=NEW_YORK), kwargs='{"lookback_weeks": 1}')
    publish_week(source_dir)


def slots() -> list[tuple[str, datetime | None]]:
    return list(Run.objects.order_by("pk").values_list("schedule", "slot"))


def planned(run: Run) -> dict[PartitionKey, tuple[str, str]]:
    """Action and reason of each due partition."""
    due = run.partitions.exclude(action=Action.NOT_YET_DUE).select_related("partition")
    return {step.partition.key: (step.action, step.plan_reason) for step in due}


def test_a_scheduled_run_is_what_run_weekly_would_do(source_dir: Path) -> None:
    (run,) = schedules.start_owed(MONDAY)

    assert (run.schedule, run.slot, run.trigger, run.command) == ("weekly run", MONDAY, "BEAT", "run_weekly")
    assert (run.run_date, run.requested_by, run.worker, run.status) == (DAY, "beat", "", RunStatus.RUNNING)
    request = Request.from_parameters(run.parameters)
    assert (request.lookback_weeks, request.source, request.origin) == (1, "files", str(source_dir))
    first = ("INGEST", "first capture")
    late = {
        PartitionKey(date(2025, 11, 28), Tier.NMS_TIER_1): ("INGEST", "due since 2025-12-15, not there: late"),
        PartitionKey(date(2025, 11, 21), Tier.NMS_TIER_1): ("INGEST", "due since 2025-12-08, not there: late"),
    }
    assert planned(run) == {**late, TIER_1: first, TIER_2: first, OTC: first}
    assert run.partitions.filter(status=PartitionStatus.PENDING, sendings=1).count() == run.partitions.count()


def test_the_run_date_is_new_yorks(ledger: Ledger) -> None:
    late_in_the_evening = MONDAY.replace(hour=22).astimezone(ZoneInfo("UTC"))
    assert late_in_the_evening.date() == date(2025, 12, 16)
    assert [run.run_date for run in schedules.start_owed(late_in_the_evening)] == [DAY]


@pytest.mark.promise(10)
def test_a_missed_slot_is_made_up_for_once() -> None:
    wednesday = MONDAY + timedelta(days=2)
    started = schedules.start_owed(wednesday)

    assert slots() == [("weekly run", MONDAY), ("daily re-check", wednesday)]
    assert [run.run_date for run in started] == [date(2025, 12, 17)] * 2
    assert schedules.start_owed(wednesday + SECOND) == []
    assert len(slots()) == 2


def test_a_schedule_that_is_off_starts_nothing_until_it_is_on_again() -> None:
    PeriodicTask.objects.filter(name="weekly run").update(enabled=False)
    assert schedules.start_owed(MONDAY) == []
    PeriodicTask.objects.filter(name="weekly run").update(enabled=True)
    assert [run.slot for run in schedules.start_owed(MONDAY + SECOND)] == [MONDAY]


class Meeting(FilesSource):
    """The folder, for callers that wait for each other before they are told what it has."""

    barrier = threading.Barrier(2, timeout=PATIENCE)

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        self.barrier.wait()
        return super().available(keys)


@pytest.mark.promise(10)
def test_two_callers_at_once_make_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def meeting(options: SourceOptions) -> Source:
        return Meeting(options.root, options.max_bytes)

    monkeypatch.setitem(sources.REGISTRY, "files", meeting)

    first, second = at_once(*[lambda: schedules.start_owed(MONDAY)] * 2)

    assert slots() == [("weekly run", MONDAY)]
    assert [run.slot for run in first + second] == [MONDAY]


@pytest.mark.promise(10)
def test_a_slot_that_another_caller_has_taken_meanwhile_breaks_no_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = schedules.owed(MONDAY)
    schedules.start_owed(MONDAY)
    monkeypatch.setattr(schedules, "owed", lambda _now: late)
    with transaction.atomic():
        assert schedules.start_owed(MONDAY) == []
        assert slots() == [("weekly run", MONDAY)]


@pytest.mark.promise(10)
def test_partitions_that_another_run_has_in_flight_are_skipped_with_that_reason() -> None:
    other = lifecycle.start(make_plan(Request(command="backfill", run_date=DAY, weeks=(WEEK,), tiers=(Tier.OTC,))))

    (run,) = schedules.start_owed(MONDAY)

    steps = planned(run)
    assert steps[OTC] == ("SKIP", f"run {other.pk} has it in flight")
    assert steps[TIER_2] == ("INGEST", "first capture")


def test_a_missing_source_folder_fails_the_run_visibly(settings: Settings, tmp_path: Path) -> None:
    settings.MARKETSPINE_SOURCE_DIR = str(tmp_path / "nowhere")

    (run,) = schedules.start_owed(MONDAY)
    in_process.execute(run, None)

    due = run.partitions.exclude(outcome=Outcome.NOT_YET_DUE)
    assert (run.status, list(due.values_list("outcome", flat=True))) == (RunStatus.FAILED, [Outcome.FAILED] * 5)
    assert set(Anomaly.objects.values_list("category", flat=True)) == {Category.FETCH_FAILED}


def test_an_unknown_source_in_the_settings_makes_a_run_that_fails_visibly(settings: Settings) -> None:
    settings.MARKETSPINE_SOURCE = "ftp"

    (run,) = schedules.start_owed(MONDAY)
    in_process.execute(run, None)

    assert run.status == RunStatus.FAILED
    assert Anomaly.objects.filter(message="unknown source 'ftp': known are api, files, samples").count() == 5


@pytest.mark.parametrize("task", [tasks.start_scheduled, tasks.sweep])
def test_beats_task_and_each_sweep_start_what_is_owed(task: Any) -> None:
    with time_machine.travel(MONDAY, tick=False):
        task.apply(throw=True)
    assert slots() == [("weekly run", MONDAY)]


@contextmanager
def beat() -> Iterator[Scheduler]:
    """The scheduler that `celery beat` runs, on rows as one leaves them that was killed before it wrote what it sent."""
    PeriodicTask.objects.update(last_run_at=MONDAY - 30 * SECOND)
    scheduler = Scheduler(app=celery_app)
    try:
        yield scheduler
    finally:
        scheduler._dirty.clear()
        scheduler._finalize.cancel()
        scheduler.connection.close()


def sent_by(scheduler: Scheduler, now: datetime) -> list[str]:
    """The names of the schedules that beat finds due at an instant, and sends."""
    with time_machine.travel(now, tick=False):
        while scheduler.tick() == 0:
            pass
        return sorted(_received())


def _received() -> Iterator[str]:
    with celery_app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get("control", no_ack=True):
            yield message.headers["periodic_task_name"]


@pytest.mark.promise(10)
def test_a_restarted_beat_starts_no_second_weekly_run() -> None:
    assert configured.CELERY_BEAT_SCHEDULER == "pipeline.engine.beat:Scheduler"
    with time_machine.travel(MONDAY - 10 * SECOND, tick=False), beat() as scheduler:
        assert sent_by(scheduler, MONDAY - SECOND) == []
        assert sent_by(scheduler, MONDAY) == ["weekly run"]
    with time_machine.travel(MONDAY + 5 * SECOND, tick=False), beat() as restarted:
        assert sent_by(restarted, MONDAY + 6 * SECOND) == ["weekly run"]
        for _ in range(2):
            tasks.start_scheduled.apply(kwargs={"lookback_weeks": 1}, throw=True)
    assert slots() == [("weekly run", MONDAY)]
