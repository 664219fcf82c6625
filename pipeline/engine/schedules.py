"""Runs that the schedules owe: the schedules' rows say when, the ledger says which runs have been started.

A *slot* is an instant at which a schedule's crontab fires. (schedule, slot) is unique among runs: a slot gets one run,
however often it fires, and any process may start an owed run: beat's task, each sweep, two of them at once.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from celery.schedules import ParseException
from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from pipeline.checkpoints import checkpoints
from pipeline.engine import canvas
from pipeline.engine.slots import Crontab, first_slot, last_slot
from pipeline.finra.calendar import MOST_WEEKS, CalendarError, Tier, market_today, parse_tiers
from pipeline.finra.sources import REGISTRY
from pipeline.finra.sources.api.access import NAME as API
from pipeline.finra.sources.base import SourceError
from pipeline.models import Run, Trigger
from pipeline.resilience import clock
from pipeline.runs.plan import Plan, make_plan, plan_with
from pipeline.runs.request import Only, Request
from pipeline.runs.sources import PLAN_SECONDS, origin_of, source_of
from pipeline.task_names import START_SCHEDULED

logger = logging.getLogger(__name__)


# More than a week: a weekly slot is owed until the next one fires, a week and an hour later when summer time ends between
# them. An older slot is given up: its partitions are in the next run's look-back.
MADE_UP_FOR = timedelta(days=8)
KEYWORDS = ("lookback_weeks", "probe", "source", "tiers")


class BadSchedule(ValueError):
    """A schedule's row makes no sense; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A slot that has passed without a run, and the parameters of its run."""

    schedule: str
    slot: datetime
    lookback_weeks: int
    tiers: tuple[Tier, ...]
    source: str
    probe: bool

    def request(
        self, run_date: date, *, requested_by: str = "beat", reason: str = "", trigger: Trigger = Trigger.BEAT
    ) -> Request:
        """The request as `run_weekly` would make it or, for a probe, as `probe_restatements` would."""
        return Request(
            command="probe_restatements" if self.probe else "run_weekly",
            only=Only.CAPTURED if self.probe else Only.ALL,
            probe=self.probe,
            run_date=run_date,
            tiers=self.tiers,
            lookback_weeks=self.lookback_weeks,
            source=self.source,
            origin=origin_of(self.source),
            reason=reason,
            requested_by=requested_by,
            trigger=trigger,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """The slots of a schedule: the last, the next, and one that has passed without a run; None where there is none."""

    last_slot: datetime | None = None
    next_slot: datetime | None = None
    owed: datetime | None = None


@receiver(pre_save, sender=PeriodicTask)
def owe_nothing_from_before(instance: PeriodicTask, raw: bool, **_: object) -> None:
    """Move the start of a new or changed row to now, so that it owes no slot of the past."""
    if raw or instance.task != START_SCHEDULED:
        return
    known = PeriodicTask.objects.filter(pk=instance.pk).values("task", "crontab_id", "one_off", "start_time").first()
    now, first = timezone.now(), instance.start_time
    if known is None or any(getattr(instance, name) != known[name] for name in ("task", "crontab_id", "one_off")):
        instance.start_time = max(first or now, now)
    elif known["start_time"] and (first is None or first < known["start_time"]):
        instance.start_time = max(first or known["start_time"], min(known["start_time"], now))


def start_owed(now: datetime | None = None) -> list[Run]:
    """Start a run for each owed slot; the runs that this call started. Of several callers one starts each.

    A one-off that has its run is switched off.
    """
    now = now or timezone.now()
    started = [run for due in owed(now) if (run := _start(due, market_today(now)))]
    done = [row.pk for row in _rows().filter(one_off=True) if _has_run_since(row.name, _begin(row))]
    if PeriodicTask.objects.filter(pk__in=done).update(enabled=False):
        PeriodicTasks.update_changed()
    return started


def mend(now: datetime | None = None) -> list[str]:
    """Mend rows whose last run is in the future, written by a clock that was ahead; their names."""
    now = now or timezone.now()
    ahead = PeriodicTask.objects.filter(last_run_at__gt=now + clock.SKEW)
    names = list(ahead.order_by("pk").values_list("name", flat=True))
    changed = PeriodicTasks.objects.filter(last_update__gt=now + clock.SKEW).update(last_update=now)
    if names:
        ahead.update(last_run_at=now)
        logger.warning("%s: last run in the future, the clock was ahead; counted from now on", ", ".join(names))
    if names or changed:
        PeriodicTasks.update_changed()
    return names


def _rows() -> QuerySet[PeriodicTask]:
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(task=START_SCHEDULED, enabled=True)
    return rows.select_related("crontab").order_by("pk")


def owed(now: datetime) -> list[Owed]:
    """The owed slots, oldest first: of each schedule that is on, the newest slot if it has no run.

    A one-off has one run, for its first slot from its start on, however late.

    A row that makes no sense owes none, and is logged.
    """
    found = [due for row in _rows() if (due := _owed_by(row, now))]
    return sorted(found, key=lambda due: (due.slot, due.schedule))


def request_of(row: PeriodicTask, *, requested_by: str, reason: str, trigger: Trigger) -> Request:
    """The request of a schedule's row, whether it is due or not; BadSchedule when the row makes no sense."""
    now = timezone.now()
    due = _read(row, now)
    if not _can_be_asked(due):
        raise BadSchedule(f"the source {due.source!r} cannot be asked whether something moved; only {API!r} can")
    return due.request(market_today(now), requested_by=requested_by, reason=reason, trigger=trigger)


@checkpoints("slot.start")
def _start(due: Owed, run_date: date) -> Run | None:
    try:
        return canvas.launch(_plan(due.request(run_date)), schedule=due.schedule, slot=due.slot)
    except IntegrityError:  # `launch` has rolled back all it wrote
        if not _has_run(due.schedule, due.slot):
            raise
        return None


def _plan(request: Request) -> Plan:
    """The plan. If the source cannot be asked, the run starts all the same: operators see its partitions fail."""
    try:
        return plan_with(request, source_of(request, PLAN_SECONDS), skip_in_flight=True)
    except SourceError as error:
        logger.warning("the source cannot be asked what it has: %s", error)
        return make_plan(request, skip_in_flight=True)


def _has_run(schedule: str, slot: datetime) -> bool:
    return Run.objects.filter(schedule=schedule, slot=slot).exists()


def standing_of(row: PeriodicTask, now: datetime) -> Standing:
    """The slots of a row that starts runs; BadSchedule when it makes no sense. A row that is off has none."""
    if not row.enabled:
        return Standing()
    crontab, due = _crontab(row), _due(row, now)
    _read(row, now)
    return Standing(last_slot(crontab, now), first_slot(crontab, now), due.slot if due else None)


def _owed_by(row: PeriodicTask, now: datetime) -> Owed | None:
    try:
        return _due(row, now)
    except BadSchedule as error:
        logger.error("the schedule %r starts no run: %s", row.name, error)
        return None


def _due(row: PeriodicTask, now: datetime) -> Owed | None:
    slot = _slot_of(row, now)
    if slot is None or _has_run(row.name, slot):
        return None
    due = _read(row, slot)
    return due if _can_be_asked(due) else None


def _can_be_asked(due: Owed) -> bool:
    """Whether the source can be probed, where the schedule probes."""
    return not due.probe or due.source == API


def _slot_of(row: PeriodicTask, now: datetime) -> datetime | None:
    """The slot of a row's next run, if it has passed, after the row's start and not too long ago; else None."""
    crontab = _crontab(row)
    if row.expires is not None and row.expires <= now:
        return None
    if row.one_off:
        first = first_slot(crontab, _begin(row))
        return first if first <= now and not _has_run_since(row.name, _begin(row)) else None
    slot = last_slot(crontab, now)
    begun = row.start_time is None or row.start_time <= slot
    return slot if begun and now - slot < MADE_UP_FOR else None


def _begin(row: PeriodicTask) -> datetime:
    """The start of a row: older slots do not count."""
    begin: datetime = row.start_time or row.date_changed
    return begin


def _has_run_since(schedule: str, begin: datetime) -> bool:
    return Run.objects.filter(schedule=schedule, slot__gte=begin).exists()


def _crontab(row: PeriodicTask) -> Crontab:
    if row.crontab is None:
        raise BadSchedule("only a crontab says which slot a run is for; give it one, and no interval")
    try:
        crontab: Crontab = row.crontab.schedule
    except (ValueError, ParseException) as error:
        raise BadSchedule(f"its crontab cannot be read: {error}") from error
    return crontab


def _read(row: PeriodicTask, slot: datetime) -> Owed:
    """The row's keyword arguments, checked: an operator may write anything in the admin."""
    given = _keyword_arguments(row)
    return Owed(
        schedule=row.name,
        slot=slot,
        lookback_weeks=_lookback_weeks(given.get("lookback_weeks", settings.MARKETSPINE_LOOKBACK_WEEKS)),
        tiers=_tiers(given.get("tiers", ",".join(Tier))),
        source=_source(given["source"]) if "source" in given else settings.MARKETSPINE_SOURCE,
        probe=_probe(given.get("probe", False)),
    )


def _keyword_arguments(row: PeriodicTask) -> dict[str, Any]:
    try:
        given = json.loads(row.kwargs or "{}")
    except ValueError as error:
        raise BadSchedule(f"its keyword arguments are not JSON: {error}") from error
    if not isinstance(given, dict):
        raise BadSchedule(f'its keyword arguments are {given!r}; write {{"lookback_weeks": 6}}')
    if unknown := sorted(given.keys() - set(KEYWORDS)):
        raise BadSchedule(f"unknown keyword arguments: {', '.join(unknown)}; known are {', '.join(KEYWORDS)}")
    return given


def _lookback_weeks(given: object) -> int:
    if type(given) is not int or not 1 <= given <= MOST_WEEKS:  # JSON's true is an int, too
        raise BadSchedule(f"lookback_weeks is {given!r}; it must be a number from 1 to {MOST_WEEKS}")
    return given


def _probe(given: object) -> bool:
    if not isinstance(given, bool):
        raise BadSchedule(f"probe is {given!r}; it must be true or false")
    return given


def _tiers(given: object) -> tuple[Tier, ...]:
    if not isinstance(given, str):
        raise BadSchedule(f'tiers is {given!r}; write "{",".join(Tier)}" or fewer of them')
    try:
        return parse_tiers(given)
    except CalendarError as error:
        raise BadSchedule(str(error)) from error


def _source(given: object) -> str:
    if not isinstance(given, str) or given not in REGISTRY:
        raise BadSchedule(f"unknown source {given!r}; known are {', '.join(sorted(REGISTRY))}")
    return given
