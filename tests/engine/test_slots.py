"""Slots of one-off and new schedules, and of rows that a clock which was ahead has written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks
from kombu.transport.memory import Channel

from pipeline import task_names, tasks
from pipeline.engine import schedules
from tests.engine.test_scheduled_runs import MONDAY, NEW_YORK, SECOND, beat, sent_by, slots
from tests.support.engines import Ledger

TUESDAY = MONDAY + timedelta(days=1)
HOUR = timedelta(hours=1)
WEDNESDAY = MONDAY + timedelta(days=2)
NEXT_MONDAY = MONDAY + timedelta(days=7)


@pytest.fixture(autouse=True)
def _no_messages(source_dir: Path) -> Iterator[None]:
    """What a test sends waits in this process's memory, and would be the next test's."""
    Channel.queues.clear()
    yield
    Channel.queues.clear()


def made(name: str, at: datetime, **fields: Any) -> PeriodicTask:
    """A schedule for Mondays at half past ten, made at an instant as the admin does it."""
    crontab = CrontabSchedule.objects.create(minute="30", hour="10-10", day_of_week="1", timezone=NEW_YORK)
    with time_machine.travel(at, tick=False):
        return PeriodicTask.objects.create(name=name, task=task_names.START_SCHEDULED, crontab=crontab, **fields)


def at_intervals(first: datetime, days: int) -> None:
    """Beat and the sweep, each twelve hours for some days."""
    for half in range(2 * days):
        now = first + half * 12 * HOUR
        with time_machine.travel(now, tick=False):
            tasks.start_scheduled.apply(throw=True)
            tasks.start_scheduled.apply(throw=True)


STARTS = {
    "without a start": None,
    "that starts in the past": MONDAY - timedelta(days=300),
    "that starts before its next slot": NEXT_MONDAY - HOUR,
    "that starts with its next slot": NEXT_MONDAY,
}


@pytest.fixture
def quiet(ledger: Ledger) -> None:
    """The product's own schedules are off."""
    PeriodicTask.objects.update(enabled=False)


@pytest.mark.promise(10)
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_one_off_has_exactly_one_run_at_its_next_slot(quiet: None, start: datetime | None) -> None:
    made("once", WEDNESDAY, one_off=True, start_time=start)
    at_intervals(WEDNESDAY, days=20)
    assert slots() == [("once", NEXT_MONDAY)]
    assert not PeriodicTask.objects.get(name="once").enabled


def test_a_one_off_waits_for_its_start(quiet: None) -> None:
    made("once", WEDNESDAY, one_off=True, start_time=NEXT_MONDAY + SECOND)
    at_intervals(WEDNESDAY, days=20)
    assert slots() == [("once", NEXT_MONDAY + timedelta(days=7))]


def test_a_one_off_that_nothing_started_in_time_runs_late(quiet: None) -> None:
    made("once", WEDNESDAY, one_off=True)
    at_intervals(NEXT_MONDAY + timedelta(days=20), days=1)
    assert slots() == [("once", NEXT_MONDAY)]


def test_a_one_off_of_a_name_used_before_has_its_own_run(quiet: None) -> None:
    made("once", WEDNESDAY, one_off=True)
    at_intervals(NEXT_MONDAY, days=1)
    PeriodicTask.objects.get(name="once").delete()
    made("once", NEXT_MONDAY + HOUR, one_off=True)
    at_intervals(NEXT_MONDAY + HOUR, days=8)
    assert slots() == [("once", NEXT_MONDAY), ("once", NEXT_MONDAY + timedelta(days=7))]


@pytest.mark.parametrize("start", [None, MONDAY - timedelta(days=300)])
def test_a_new_row_owes_no_slot_from_before_it_was_made(quiet: None, start: datetime | None) -> None:
    made("new", WEDNESDAY, start_time=start)
    at_intervals(WEDNESDAY, days=4)
    assert slots() == []
    at_intervals(NEXT_MONDAY, days=1)
    assert slots() == [("new", NEXT_MONDAY)]


def test_a_row_whose_time_or_start_is_changed_owes_nothing_from_before(quiet: None) -> None:
    row = made("new", WEDNESDAY)
    with time_machine.travel(WEDNESDAY + HOUR, tick=False):
        row.start_time = MONDAY - timedelta(days=300)
        row.save()
        assert schedules.start_owed() == []
        row.crontab = CrontabSchedule.objects.create(minute="0", hour="9-9", day_of_week="1", timezone=NEW_YORK)
        row.save()
        assert schedules.start_owed() == []
    assert PeriodicTask.objects.get(name="new").start_time == WEDNESDAY + HOUR


def test_beat_leaves_a_one_off_on_until_its_run_is_there(quiet: None) -> None:
    made("once", WEDNESDAY, one_off=True, start_time=WEDNESDAY + HOUR)
    with time_machine.travel(WEDNESDAY, tick=False), beat() as scheduler:
        for hours in range(2, 6):
            sent_by(scheduler, WEDNESDAY + hours * HOUR)
        scheduler.sync()
    assert PeriodicTask.objects.get(name="once").enabled


def test_a_clock_set_back_by_a_year_holds_up_no_schedule(ledger: Ledger) -> None:
    ahead = MONDAY + timedelta(days=365)
    PeriodicTask.objects.filter(name="stalled-run sweep").update(last_run_at=ahead)
    PeriodicTasks.objects.update_or_create(ident=1, defaults={"last_update": ahead})
    with time_machine.travel(TUESDAY, tick=False):
        assert schedules.mend() == ["stalled-run sweep"]
        assert schedules.mend() == []
    assert PeriodicTask.objects.get(name="stalled-run sweep").last_run_at == TUESDAY
    assert PeriodicTasks.last_change() <= timezone.now()


def test_a_beat_whose_clock_is_set_back_while_it_runs_goes_on(ledger: Ledger) -> None:
    ahead = MONDAY + timedelta(days=365)
    with time_machine.travel(ahead, tick=False), beat() as scheduler:
        PeriodicTask.objects.update(last_run_at=None)
        PeriodicTasks.update_changed()
        sent_by(scheduler, ahead + timedelta(minutes=2))
        assert "stalled-run sweep" in sent_by(scheduler, ahead + timedelta(minutes=4))
        sent = [sent_by(scheduler, MONDAY + minutes * timedelta(minutes=1)) for minutes in range(-5, 0)]
    assert sum("stalled-run sweep" in names for names in sent) >= 3
