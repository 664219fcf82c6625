"""The dashboard's contents for a Monday morning: the grid, its figures, silent parts, and news.

Read from the ledger in a number of queries that does not grow with it. No other process is asked: it might not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db.models import Count, Max, Min
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline import task_names
from pipeline.engine import schedules
from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back, market_today
from pipeline.integrity import losses
from pipeline.models import (
    Anomaly,
    Backup,
    Capture,
    CaptureKind,
    Event,
    Outcome,
    PartitionStatus,
    Readiness,
    Restoration,
    Run,
    RunPartition,
    Severity,
    Use,
    WorkerSign,
)
from pipeline.models.readiness import USABLE
from pipeline.notices import outbox
from pipeline.resilience import clock
from pipeline.review import grid
from pipeline.review.grid import Cell, CellState
from pipeline.vintages import holdings

LATELY = timedelta(days=7)

# Beat writes down what it has sent every three minutes; a worker leaves a sign with each minute's sweep.
BACKUP_AGE = timedelta(hours=36)
SILENCE = timedelta(minutes=10)  # beat writes what it fired every three minutes
SLOT_GRACE = timedelta(minutes=15)


class CellStatus(StrEnum):
    """How a cell of the grid stands, in an operator's words."""

    READY = "READY"
    RESTATED = "RESTATED"
    FORCED = "FORCED"
    UNCHANGED = "UNCHANGED"
    NOT_OFFERED = "NOT_OFFERED"
    ARCHIVED = "ARCHIVED"
    NOT_YET_DUE = "NOT_YET_DUE"
    MISSING = "MISSING"
    LATE = "LATE"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    DAMAGED = "DAMAGED"
    BLOCKED = "BLOCKED"


LAST_TRIED = {Outcome.UNCHANGED.value: CellStatus.UNCHANGED, Outcome.NOT_OFFERED.value: CellStatus.NOT_OFFERED}


@dataclass(frozen=True, slots=True)
class Week:
    """A row of the grid: a cell per tier with how it stands, and the verdict for each use (None where never judged)."""

    week_ending: date
    cells: list[tuple[Cell, CellStatus]]
    verdicts: dict[str, Readiness | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures over the weeks of the grid."""

    ready: int
    not_ready: int
    missing: int
    due: int
    anomalies: dict[str, int]
    last_run: Run | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A part is silent that should not be: its event and place, a sentence, and advice. `run_id` is the run that waits.

    What is wrong with telling people is no event: nobody could be told.
    """

    event: Event | None
    place: str
    severity: Severity
    what: str
    advice: str
    run_id: int | None = None


def weeks(today: date | None = None) -> list[Week]:
    """The grid: the weeks that are watched, newest first."""
    day = today or market_today()
    fridays = look_back(settings.MARKETSPINE_LOOKBACK_WEEKS, day)
    keys = [PartitionKey(week, tier) for week in fridays for tier in Tier]
    lost = losses.unaccepted(holdings.recorded())
    found = {(cell.week_ending, cell.tier): cell for cell in grid.cells(keys, day, lost)}
    verdicts = {(v.week_ending, v.use): v for v in Readiness.objects.filter(week_ending__in=fridays)}
    now = timezone.now()
    return [
        Week(
            week,
            [(cell, status_of(cell, now)) for tier in Tier if (cell := found[week, tier])],
            {use: verdicts.get((week, use)) for use in Use.values},
        )
        for week in fridays
    ]


def status_of(cell: Cell, now: datetime) -> CellStatus:
    """How a cell stands: a good one tells whether its content is news."""
    if cell.state is not CellState.GOOD:
        return CellStatus(cell.state)
    if cell.newest and now - cell.newest.captured_at < LATELY and (news := _news(cell.newest)):
        return news
    return LAST_TRIED.get(cell.last_try.outcome, CellStatus.READY) if cell.last_try else CellStatus.READY


def _news(newest: Capture) -> CellStatus | None:
    """The news of a vintage: restated rows, or a forced capture of the same content; None without news."""
    if newest.rows_touched and newest.version > 1:
        return CellStatus.RESTATED
    return CellStatus.FORCED if newest.kind == CaptureKind.FORCED else None


def figures(rows: Iterable[Week], today: date | None = None) -> Figures:
    """The figures. A week counts as ready when it may be used for trading."""
    day, listed = today or market_today(), list(rows)
    verdicts = [row.verdicts[Use.TRADING] for row in listed]
    ready = sum(verdict is not None and verdict.state in USABLE for verdict in verdicts)
    due = [
        cell for row in listed for cell, _ in row.cells if is_due(PartitionKey(cell.week_ending, Tier(cell.tier)), day)
    ]
    open_ = dict(Anomaly.objects.open().values_list("severity").annotate(Count("pk")).order_by())
    return Figures(
        ready=ready,
        not_ready=len(listed) - ready,
        missing=sum(cell.newest is None for cell in due),
        due=len(due),
        anomalies={severity: open_.get(severity, 0) for severity in reversed(Severity.values)},
        last_run=Run.objects.order_by("-pk").first(),
    )


def alarms(now: datetime | None = None) -> list[Alarm]:
    """The parts that are silent and should not be, the gravest first."""
    return list(_alarms(now or timezone.now()))


def _alarms(now: datetime) -> Iterator[Alarm]:
    yield from _restoration_unfinished()
    yield from _outbox_stuck(now)
    yield from _backup_old(now)
    yield from _slots_missed(now)
    beat = last_beat()
    if not PeriodicTask.objects.filter(enabled=True).exists():
        pass  # cron has the commands: beat has nothing to send
    elif beat is None or not clock.is_sign_of_life(beat, now, SILENCE):
        yield Alarm(
            Event.BEAT_SILENT,
            "beat",
            Severity.CRITICAL,
            f"Beat is silent: it has sent nothing {_since(beat, now)}" if beat else "Beat has never sent anything",
            "Scheduled runs do not start. Start python manage.py serve, or the container beat.",
        )
    else:
        yield from _no_worker(now)
    yield from _runs_waiting(now)


def _restoration_unfinished() -> Iterator[Alarm]:
    """The ledger came out of a backup, and no person has said yet that it may go on."""
    restored = Restoration.objects.unfinished()
    if restored is not None:
        what = f"This ledger was restored from the backup {restored.name}: schedules and notices are paused"
        advice = "Look whether all is there, then let them go on: `python manage.py restore --finish`."
        yield Alarm(None, "restoration", Severity.ERROR, what, advice)


def _backup_old(now: datetime) -> Iterator[Alarm]:
    """The newest backup is older than a night and a half, where backups are expected."""
    newest = Backup.objects.newest()
    if settings.MARKETSPINE_BACKUP == "expected" and (newest is None or now - newest.made_at > BACKUP_AGE):
        what = f"The newest backup is {_ago(now - newest.made_at)} old" if newest else "There is no backup"
        advice = "Make one, `python manage.py backup create`, and see why none was made."
        yield Alarm(Event.BACKUP_OLD, "backup", Severity.CRITICAL, what, advice)


def _outbox_stuck(now: datetime) -> Iterator[Alarm]:
    """Notices that nobody was told of, though a channel is there for them."""
    waiting = outbox.facts(now)
    if waiting.oldest_pending_at is not None and waiting.is_stuck(now):
        named = ", ".join(channel.name for channel in waiting.channels if channel.pending)
        yield Alarm(
            None,
            "notices",
            Severity.ERROR,
            f"Nobody has been told of what happened {_since(waiting.oldest_pending_at, now)}",
            f"Notices wait{f' for {named}' if named else ''}: `python manage.py notify list` says why.",
        )


def _slots_missed(now: datetime) -> Iterator[Alarm]:
    """Slots that have passed without a run, for longer than a sweep takes to make up for them."""
    for due in schedules.owed(now):
        if now - due.slot > SLOT_GRACE:
            yield Alarm(
                Event.SCHEDULE_MISSED,
                due.schedule,
                Severity.ERROR,
                f"Nothing has run for the slot of {due.slot:%Y-%m-%d %H:%M} UTC of the schedule {due.schedule!r}",
                "The next worker that starts makes up for it; python manage.py run_weekly runs it here and now.",
            )


def last_beat() -> datetime | None:
    """When beat last sent anything."""
    newest: datetime | None = PeriodicTask.objects.aggregate(newest=Max("last_run_at"))["newest"]
    return newest


def _no_worker(now: datetime) -> Iterator[Alarm]:
    """Beat sends a sweep each minute, so that a worker that is there leaves a sign each minute."""
    if not PeriodicTask.objects.filter(task=task_names.SWEEP, enabled=True).exists():
        return
    seen = last_worker_sign()
    if seen is None or not clock.is_sign_of_life(seen, now, SILENCE):
        yield Alarm(
            Event.WORKERS_SILENT,
            "workers",
            Severity.CRITICAL,
            f"No worker has answered {_since(seen, now)}" if seen else "No worker has ever answered",
            "What is sent waits. Start a worker: celery -A marketspine worker, or the worker containers.",
        )


def last_worker_sign() -> datetime | None:
    """When a worker last showed that it is there."""
    newest: datetime | None = WorkerSign.objects.aggregate(newest=Max("seen_at"))["newest"]
    return newest


def _runs_waiting(now: datetime) -> Iterator[Alarm]:
    """Runs of the queue of which something was sent long ago, and nothing is under way."""
    resend = timedelta(seconds=settings.MARKETSPINE_RESEND_AFTER_SECONDS)
    of_queue = RunPartition.objects.filter(run__in=Run.objects.under_way().of_queue())
    waiting = of_queue.filter(status=PartitionStatus.PENDING, retry_at__isnull=True)
    working = of_queue.filter(status=PartitionStatus.RUNNING).values("run")
    for run_id, since in (
        waiting.exclude(run__in=working).values_list("run").annotate(since=Min("queued_at")).order_by("run")
    ):
        if now - since > resend:
            yield Alarm(
                Event.WORK_WAITING,
                f"run {run_id}",
                Severity.WARN,
                f"Run {run_id} has waited for {_ago(now - since)}, and no worker works on it",
                "Is a worker there, and the broker? What was lost is sent again by the sweep of each minute.",
                run_id,
            )


def _since(seen: datetime, now: datetime) -> str:
    """For how long; of a sign from the future, that the clock was set back."""
    return "since the clock was set back" if clock.is_ahead(seen, now) else f"for {_ago(now - seen)}"


def _ago(passed: timedelta) -> str:
    """A duration in the unit that fits: "12 minutes", "3 hours", "2 days"."""
    for seconds, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        number = int(passed.total_seconds() // seconds)
        if number:
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "less than a minute"
