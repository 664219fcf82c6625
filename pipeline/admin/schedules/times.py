"""The times of a schedule: the next one, and all of them in words."""

from __future__ import annotations

from calendar import month_name
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import ParseException
from django.core.exceptions import ImproperlyConfigured
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from pipeline.engine.slots import first_slot

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
TIMES_NAMED = 6
INSTANT = timedelta(microseconds=1)
ALMOST = timedelta(milliseconds=500)  # an interval's own clock goes on while it counts
UNREADABLE = (ValueError, AttributeError, ParseException, ImproperlyConfigured)


def in_words(row: PeriodicTask) -> str:
    """ "Monday at 10:30, America/New_York", "every minute"; or why it has no time."""
    if row.crontab:
        return crontab_in_words(row.crontab)
    return str(row.scheduler) if row.scheduler else "no time: give it a crontab"


def crontab_in_words(crontab: CrontabSchedule) -> str:
    """The days and the times: "Monday at 10:30, America/New_York"; or beat's error where it cannot be read."""
    try:
        fires: Any = crontab.schedule
        days, times = _which_days(fires), _times(sorted(fires.hour), sorted(fires.minute))
    except UNREADABLE:
        return str(crontab.human_readable)
    return f"{days} {times}, {crontab.timezone}"


def _which_days(fires: Any) -> str:
    """The days of the week and of the month and the months, as far as the crontab limits them."""
    days, months = sorted(fires.day_of_month), sorted(fires.month_of_year)
    of_month = "" if len(days) == 31 else f"on day {_numbers(days)} of the month"
    of_year = "" if len(months) == 12 else f"in {', '.join(month_name[one] for one in months)}"
    of_week = "" if of_month and len(fires.day_of_week) == 7 else _days(fires.day_of_week)
    return " ".join(part for part in (of_week, of_month, of_year) if part)


def _times(hours: list[int], minutes: list[int]) -> str:
    """Each time, if they are few; else the minutes of the hours."""
    if len(hours) * len(minutes) <= TIMES_NAMED:
        return f"at {', '.join(f'{hour:02}:{minute:02}' for hour in hours for minute in minutes)}"
    of_hours = "of each hour" if len(hours) == 24 else f"of the hours {_numbers(hours)}"
    return f"each minute {of_hours}" if len(minutes) == 60 else f"at minute {_numbers(minutes)} {of_hours}"


def _numbers(ordered: list[int]) -> str:
    """Such as "7 to 18", "5", "0, 30"."""
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))


def _days(numbers: set[int]) -> str:
    """Of 0 (Sunday) to 6: "Tuesday to Friday", "Monday, Thursday", "each day"."""
    ordered = sorted(numbers)
    if len(ordered) == len(DAYS):
        return "each day"
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{DAYS[ordered[0]]} to {DAYS[ordered[-1]]}"
    return ", ".join(DAYS[number] for number in ordered)


def next_at(row: PeriodicTask, now: datetime) -> datetime | None:
    """The next time, `now` when it is overdue; None when it is off or over, or its time cannot be read."""
    if not row.enabled or (row.expires is not None and row.expires <= now):
        return None
    try:
        if row.start_time is not None and row.start_time > now:
            begins: datetime = row.due_start_time(now.tzinfo)
            return begins
        if row.crontab:
            return first_slot(row.crontab.schedule, now + INSTANT)
        overdue, seconds = row.schedule.is_due(row.last_run_at or row.date_changed or now)
    except UNREADABLE:
        return None
    return now if overdue else (now + timedelta(seconds=seconds) + ALMOST).replace(microsecond=0)
