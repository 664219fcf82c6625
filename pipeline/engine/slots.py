"""Slots: the instants at which a schedule's crontab fires, read by cronsim in the crontab's time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from cronsim import CronSim

# cronsim counts by the clock, which shows the hour before the end of summer time twice: so it begins before that.
OVERLAP = timedelta(hours=1, seconds=1)


class Crontab(Protocol):
    """A crontab as Celery parses it: the numbers of each field (Sunday is 0), and its time zone."""

    minute: set[int]
    hour: set[int]
    day_of_week: set[int]
    day_of_month: set[int]
    month_of_year: set[int]
    tz: tzinfo


def last_slot(crontab: Crontab, now: datetime) -> datetime:
    """The newest instant, at or before `now`, at which the crontab fires. (Celery refuses one that never fires.)"""
    return next(slot for slot in _slots(crontab, now + OVERLAP, reverse=True) if slot <= now)


def first_slot(crontab: Crontab, begin: datetime) -> datetime:
    """The first instant, at or after `begin`, at which the crontab fires."""
    return next(slot for slot in _slots(crontab, begin - OVERLAP, reverse=False) if slot >= begin)


def _slots(crontab: Crontab, start: datetime, *, reverse: bool) -> Iterator[datetime]:
    slots = CronSim(_expression(crontab), start.astimezone(crontab.tz), reverse)
    slots.day_and = True  # Celery wants both the day of the month and that of the week; cron takes either
    return (slot.astimezone(UTC) for slot in slots)


def _expression(crontab: Crontab) -> str:
    """The five fields as lists of numbers: such times are fixed for cronsim, which then skips none in a clock change."""
    fields = (crontab.minute, crontab.hour, crontab.day_of_month, crontab.month_of_year, crontab.day_of_week)
    return " ".join(",".join(map(str, sorted(field))) for field in fields)
