"""Alarms: which part is silent, missed or waiting, told from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline import tasks
from pipeline.models import Backup, PartitionStatus, RunPartition, WorkerSign
from pipeline.review import alarms
from pipeline.runs.lifecycle import start
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.task_names import START_SCHEDULED
from tests.management.publications import DAY, OTC, TIER_1
from tests.support.engines import Ledger

NOON = datetime(DAY.year, DAY.month, DAY.day, 17, tzinfo=UTC)
MINUTES = [timedelta(minutes=n) for n in range(60)]


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """It is noon in New York, DAY, and the clock goes on."""
    with time_machine.travel(NOON):
        yield


def beat_was_heard(ago: timedelta) -> None:
    PeriodicTask.objects.update(last_run_at=timezone.now() - ago)


def worker_was_seen(ago: timedelta) -> None:
    WorkerSign.objects.update_or_create(machine="one", defaults={"seen_at": timezone.now() - ago})


@pytest.fixture
def nothing_owed(ledger: Ledger) -> None:
    PeriodicTask.objects.filter(task=START_SCHEDULED).update(enabled=False)


@pytest.mark.parametrize(
    ("beat", "worker", "told"),
    [
        (None, None, ["Beat has never sent anything"]),
        (MINUTES[11], MINUTES[11], ["Beat is silent: it has sent nothing for 11 minutes"]),
        (MINUTES[9], None, ["No worker has ever answered"]),
        (MINUTES[2], MINUTES[30], ["No worker has answered for 30 minutes"]),
        (MINUTES[9], MINUTES[9], []),
    ],
)
def test_silence_of_beat_and_of_workers_is_told(
    nothing_owed: None, beat: timedelta | None, worker: timedelta | None, told: list[str]
) -> None:
    if beat:
        beat_was_heard(beat)
    if worker:
        worker_was_seen(worker)
    assert [alarm.what for alarm in alarms.raised()] == told


def test_an_old_backup_is_told_where_backups_are_expected(nothing_owed: None, settings: Settings) -> None:
    beat_was_heard(MINUTES[1])
    worker_was_seen(MINUTES[1])
    now = timezone.now()
    told = list[str]()
    for expected, age in (("elsewhere", None), ("expected", None), ("expected", 37), ("expected", 35)):
        settings.MARKETSPINE_BACKUP = expected
        if age:
            made = now - timedelta(hours=age)
            Backup.objects.create(made_at=made, finished_at=made, place="elsewhere", name="nightly")
        told.append(", ".join(alarm.what for alarm in alarms.raised(now)))
    assert told == ["", "There is no backup", "The newest backup is 1 day old", ""]


def test_where_every_schedule_is_off_beat_may_be_silent(ledger: Ledger) -> None:
    PeriodicTask.objects.update(enabled=False)
    assert alarms.raised() == []


def test_a_worker_that_sweeps_is_seen(nothing_owed: None) -> None:
    beat_was_heard(MINUTES[1])
    tasks.sweep()
    assert alarms.raised() == []


def test_a_slot_that_nothing_ran_for_is_told(ledger: Ledger) -> None:
    beat_was_heard(MINUTES[1])
    worker_was_seen(MINUTES[1])
    PeriodicTask.objects.filter(name="weekly run").update(start_time=NOON - timedelta(days=30))
    (alarm,) = alarms.raised()
    assert alarm.what == "Nothing has run for the slot of 2025-12-15 15:30 UTC of the schedule 'weekly run'"


def test_a_run_that_nobody_works_on_is_told(nothing_owed: None) -> None:
    beat_was_heard(MINUTES[1])
    worker_was_seen(MINUTES[1])
    run = start(make_plan(Request(command="reingest", run_date=DAY, partitions=(OTC, TIER_1))))
    RunPartition.objects.update(queued_at=NOON - MINUTES[7])
    (alarm,) = alarms.raised()
    assert (alarm.what, alarm.run_id) == (f"Run {run.pk} has waited for 7 minutes, and no worker works on it", run.pk)
    RunPartition.objects.filter(partition__tier="OTC").update(status=PartitionStatus.RUNNING)
    assert alarms.raised() == []
