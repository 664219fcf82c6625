"""When a schedule's row comes next, as beat will have it, and in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery.schedules import ParseException
from django.core.exceptions import ImproperlyConfigured
from django_celery_beat.models import CrontabSchedule, PeriodicTask

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ALMOST = timedelta(milliseconds=500)  # beat's own clock goes on while it counts
UNREADABLE = (ValueError, AttributeError, ParseException, ImproperlyConfigured)


def in_words(row: PeriodicTask) -> str:
    """ "Monday at 10:30, America/New_York", "every minute"; what is wrong with it, when it has no time."""
    if row.crontab:
        return crontab_in_words(row.crontab)
    return str(row.scheduler) if row.scheduler else "no time: give it a crontab"


def crontab_in_words(crontab: CrontabSchedule) -> str:
    """The days and the time, where it comes once a day on days of the week; else what beat says of it."""
    try:
        fires: Any = crontab.schedule
        by_week = len(fires.day_of_month) == 31 and len(fires.month_of_year) == 12
        (minute,), (hour,) = fires.minute, fires.hour
    except UNREADABLE:
        return str(crontab.human_readable)
    return (
        f"{_days(fires.day_of_week)} at {hour:02}:{minute:02}, {crontab.timezone}"
        if by_week
        else str(crontab.human_readable)
    )


def _days(numbers: set[int]) -> str:
    """Of 0 (Sunday) to 6: "Tuesday to Friday", "Monday, Thursday", "each day"."""
    ordered = sorted(numbers)
    if len(ordered) == len(DAYS):
        return "each day"
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{DAYS[ordered[0]]} to {DAYS[ordered[-1]]}"
    return ", ".join(DAYS[number] for number in ordered)


def next_at(row: PeriodicTask, now: datetime) -> datetime | None:
    """When it comes next, `now` when it is overdue; None when it is off or over, or its time cannot be read."""
    if not row.enabled or (row.expires is not None and row.expires <= now):
        return None
    try:
        if row.start_time is not None and row.start_time > now:
            begins: datetime = row.due_start_time(now.tzinfo)
            return begins
        overdue, seconds = row.schedule.is_due(_counted_from(row, now))
    except UNREADABLE:
        return None
    return now if overdue else (now + timedelta(seconds=seconds) + ALMOST).replace(microsecond=0)


def _counted_from(row: PeriodicTask, now: datetime) -> datetime:
    """An interval is counted from the last time; a crontab by the clock."""
    return now if row.crontab else row.last_run_at or row.date_changed or now
