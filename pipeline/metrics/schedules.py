"""Schedules: which are on, which are invalid, which runs they owe, and how often they failed since the last success."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Max
from django_celery_beat.models import PeriodicTask

from pipeline import task_names
from pipeline.engine import schedules
from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import Run, RunStatus


def read(now: datetime) -> Iterator[Sample]:
    """Whether each schedule is on; of those that start runs, also the slots and failures."""
    for row in PeriodicTask.objects.select_related("crontab").order_by("pk"):
        yield sample("schedule_enabled", row.enabled, schedule=row.name)
        if row.task == task_names.START_SCHEDULED:
            yield from _of_runs(row, now)


def _of_runs(row: PeriodicTask, now: datetime) -> Iterator[Sample]:
    try:
        standing = schedules.standing_of(row, now)
    except schedules.BadSchedule:
        yield sample("schedule_invalid", 1, schedule=row.name)
        return
    yield sample("schedule_invalid", 0, schedule=row.name)
    yield sample("schedule_consecutive_failures", _failures(row.name), schedule=row.name)
    yield from instant("schedule_next_slot_timestamp_seconds", standing.next_slot, schedule=row.name)
    yield from instant("schedule_last_slot_timestamp_seconds", standing.last_slot, schedule=row.name)
    yield from instant("schedule_owed_timestamp_seconds", standing.owed, schedule=row.name)


def _failures(schedule: str) -> int:
    """How many of its runs have failed since its last good one."""
    of_schedule = Run.objects.filter(schedule=schedule)
    good = of_schedule.filter(status=RunStatus.SUCCEEDED).aggregate(newest=Max("slot"))["newest"]
    failed = of_schedule.filter(status=RunStatus.FAILED)
    return (failed.filter(slot__gt=good) if good else failed).count()
