"""The alarms: what is silent, missed, stuck or waiting that should not be, read from the ledger.

No other process is asked: it might not answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline import task_names
from pipeline.engine import schedules
from pipeline.models import (
    Backup,
    Event,
    PartitionStatus,
    Restoration,
    Run,
    RunPartition,
    Severity,
    WorkerSign,
)
from pipeline.notices import outbox
from pipeline.resilience import clock

BACKUP_AGE = timedelta(hours=36)
# Beat writes what it has sent every three minutes; a worker leaves a sign with each minute's sweep.
SILENCE = timedelta(minutes=10)
SLOT_GRACE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is not as it should be: where, how grave, a sentence, and advice. `run_id` is the run that waits.

    `event` is None where no notice is written: while notices are paused or stuck, none would arrive.
    """

    event: Event | None
    place: str
    severity: Severity
    what: str
    advice: str
    run_id: int | None = None


def raised(now: datetime | None = None) -> list[Alarm]:
    """The alarms that hold now."""
    at = now or timezone.now()
    return [
        *_restoration_unfinished(),
        *_outbox_stuck(at),
        *_backup_old(at),
        *_slots_missed(at),
        *_silent(at),
        *_runs_waiting(at),
    ]


def _silent(now: datetime) -> Iterator[Alarm]:
    """Beat, or else the workers: they leave no sign while beat sends no sweep."""
    beat = last_beat()
    if not PeriodicTask.objects.filter(enabled=True).exists():
        pass  # cron has the commands: beat has nothing to send
    elif _is_silent(beat, now):
        yield Alarm(
            Event.BEAT_SILENT,
            "beat",
            Severity.CRITICAL,
            f"Beat is silent: it has sent nothing {_since(beat, now)}" if beat else "Beat has never sent anything",
            "Scheduled runs do not start. Start python manage.py serve, or the container beat.",
        )
    else:
        yield from _no_worker(now)


def _restoration_unfinished() -> Iterator[Alarm]:
    """The ledger was restored from a backup, and no person has finished the restoration yet."""
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
    """Notices wait too long, although a channel is there for them."""
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
    """A slot has passed without a run, longer ago than a sweep takes to make up for it."""
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
    """No worker has left a sign lately. Beat sends a sweep each minute, and a worker that does it leaves one."""
    if not PeriodicTask.objects.filter(task=task_names.SWEEP, enabled=True).exists():
        return
    seen = last_worker_sign()
    if _is_silent(seen, now):
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
    """A run of the queue has had partitions waiting for long, and none under way."""
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


def _is_silent(seen: datetime | None, now: datetime) -> bool:
    return seen is None or not clock.is_sign_of_life(seen, now, SILENCE)


def _since(seen: datetime, now: datetime) -> str:
    """How long ago a sign was; for one from the future, that the clock was set back."""
    return "since the clock was set back" if clock.is_ahead(seen, now) else f"for {_ago(now - seen)}"


def _ago(passed: timedelta) -> str:
    """A duration in the unit that fits: "12 minutes", "3 hours", "2 days"."""
    for seconds, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        number = int(passed.total_seconds() // seconds)
        if number:
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "less than a minute"
