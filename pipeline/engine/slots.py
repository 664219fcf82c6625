"""The instants at which a crontab fires, before and after a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

DAYS_BACK = 400


class Crontab(Protocol):
    """What Celery made of a crontab: the numbers that fire, Sunday being 0, and its time zone."""

    minute: set[int]
    hour: set[int]
    day_of_week: set[int]
    day_of_month: set[int]
    month_of_year: set[int]
    tz: tzinfo


def last_slot(crontab: Crontab, now: datetime) -> datetime | None:
    """The newest instant, at or before `now`, at which the crontab fires; None without one in the last 400 days.

    As beat has it, a time that the clock skips comes an hour later by the clock, and one that it repeats comes once.
    """
    today = now.astimezone(crontab.tz).date()
    for days in range(DAYS_BACK):
        passed = [slot for slot in _slots_of(crontab, today - timedelta(days=days)) if slot <= now]
        if passed:
            return max(passed)
    return None


def first_slot(crontab: Crontab, begin: datetime) -> datetime | None:
    """The first instant, at or after `begin`, at which the crontab fires; None without one in the next 400 days."""
    day = begin.astimezone(crontab.tz).date()
    for days in range(DAYS_BACK):
        coming = [slot for slot in _slots_of(crontab, day + timedelta(days=days)) if slot >= begin]
        if coming:
            return min(coming)
    return None


def _slots_of(crontab: Crontab, day: date) -> list[datetime]:
    fires = (
        day.isoweekday() % 7 in crontab.day_of_week
        and day.day in crontab.day_of_month
        and day.month in crontab.month_of_year
    )
    times = [time(hour, minute) for hour in crontab.hour for minute in crontab.minute] if fires else []
    return [datetime.combine(day, at, crontab.tz).astimezone(UTC) for at in times]
