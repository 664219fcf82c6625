"""Conditions that no transaction makes true, silence, lateness and missing verdicts: a look finds them, and writes notices.

The facts are those of the dashboard (`pipeline.review`). Each minute one process looks: the first one that sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from pipeline.finra.calendar import PartitionKey, Tier, market_today
from pipeline.models import (
    ConditionLook,
    Event,
    Notice,
    Occurrence,
    Partition,
    Readiness,
    ReadinessChange,
    ReadinessState,
    Run,
    Severity,
)
from pipeline.models.event import key_of
from pipeline.models.readiness import USABLE, blocked
from pipeline.resilience import clock
from pipeline.review import alarms, dashboard
from pipeline.review.alarms import Alarm
from pipeline.review.grid import Cell, CellState

EVERY = timedelta(seconds=55)
OVERDUE, LONG_OVERDUE = timedelta(days=1), timedelta(days=3)
UNJUDGED = timedelta(minutes=10)  # normally a week whose inputs changed is judged again within seconds
WATCHED = (Event.BEAT_SILENT, Event.WORKERS_SILENT, Event.SCHEDULE_MISSED, Event.WORK_WAITING, Event.BACKUP_OLD)
NO_MORE = "it is not so any more"


def look_in_turn(now: datetime | None = None) -> bool:
    """Look, unless another process did within the last minute; whether this call did."""
    now = now or timezone.now()
    ConditionLook.objects.get_or_create(pk=1, defaults={"looked_at": now - EVERY})
    due = ConditionLook.objects.filter(pk=1).exclude(looked_at__gt=now - EVERY, looked_at__lte=now + clock.SKEW)
    if not due.update(looked_at=now):
        return False
    look(now)
    return True


def look(now: datetime) -> None:
    """Open a notice of each alarm and of each late partition, and close those that are over."""
    found = {one.key: one for alarm in alarms.raised(now) if (one := _occurrence(alarm))}
    _observe(found, set(Notice.objects.unclosed().filter(event__in=WATCHED).values_list("key", flat=True)))
    _look_for_lateness(now)
    _look_for_the_unjudged(now)


def _occurrence(alarm: Alarm) -> Occurrence | None:
    if alarm.event is None:
        return None
    run = Run.objects.filter(pk=alarm.run_id).first() if alarm.run_id else None
    return Occurrence(
        event=alarm.event,
        place=alarm.place,
        severity=alarm.severity,
        what=f"{alarm.what}.",
        advice=alarm.advice,
        run=run,
    )


@transaction.atomic
def _observe(found: Mapping[str, Occurrence], open_keys: set[str]) -> None:
    """Open a notice of each occurrence found, and close the notices of those found no more."""
    standing = dict(Notice.objects.unclosed().filter(key__in=found).values_list("key", "severity"))
    for key, occurrence in found.items():
        if key not in standing or Severity.is_graver(occurrence.severity, standing[key]):
            Notice.objects.open(occurrence)
    Notice.objects.close_keys(open_keys - found.keys(), NO_MORE)


def _look_for_lateness(now: datetime) -> None:
    """Look for late partitions of the watched weeks.

    A partition that a run found late has an anomaly, which closes the notice; of an untried one it is closed here.
    """
    today = market_today(now)
    weeks = dashboard.weeks(today)
    first = Run.objects.order_by("pk").values_list("created_at", flat=True).first()
    late = [cell for week in weeks for cell, _ in week.cells if _is_late(cell, first)]
    found = {one.key: one for cell in late if (one := _lateness(cell, today))}
    watched = Notice.objects.unclosed().filter(event=Event.LATE, week_ending__in=[week.week_ending for week in weeks])
    still = {key_of(Event.LATE, _place(cell)) for cell in late}
    _observe(found, set(watched.values_list("key", flat=True)) - still)


def _is_late(cell: Cell, first: datetime | None) -> bool:
    """Whether a run found it late, or it came due since runs began and no run has tried it."""
    if cell.state is CellState.LATE:
        return True
    is_untried = cell.state is CellState.MISSING and cell.last_try is None
    return is_untried and first is not None and market_today(first) < cell.due


def _lateness(cell: Cell, today: date) -> Occurrence | None:
    """The occurrence for people: an ERROR after three days; where no run has tried, a WARN after one."""
    overdue = today - cell.due
    if overdue < (LONG_OVERDUE if cell.state is CellState.LATE else OVERDUE):
        return None
    return Occurrence(
        event=Event.LATE,
        place=_place(cell),
        severity=Severity.ERROR if overdue >= LONG_OVERDUE else Severity.WARN,
        what=f"due since {cell.due:%a %Y-%m-%d}, {overdue.days} days ago, and not there: {cell.detail}",
        advice="The doctor prints the command that captures it.",
        week_ending=cell.week_ending,
        tier=cell.tier,
        category=cell.anomaly.category if cell.anomaly else "",
    )


def _look_for_the_unjudged(now: datetime) -> None:
    """Open a notice of each week that was blocked until it is judged again, and stays so: a verdict writes its own."""
    blocked_long = Readiness.objects.filter(state=ReadinessState.BLOCKED, since__lte=now - UNJUDGED)
    told = set(Notice.objects.unclosed().filter(event=Event.BLOCKED).values_list("place", flat=True))
    untold = {one.week_ending for one in blocked_long.order_by("week_ending") if one.place not in told}
    for week in sorted(untold):
        with transaction.atomic():
            Partition.objects.lock_week(week)  # a verdict that is passed meanwhile would not close the notice
            passed = ReadinessChange.objects.newest(week)
            Notice.objects.open_each(
                *(
                    blocked(
                        week, one.use, one.reasons, was_usable=one.use in passed and passed[one.use].state in USABLE
                    )
                    for one in blocked_long.filter(week_ending=week)
                    if one.place not in told
                )
            )


def _place(cell: Cell) -> str:
    return str(PartitionKey(cell.week_ending, Tier(cell.tier)))
