"""Waiting for a run, with its progress read from the ledger, for both engines alike."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from datetime import timedelta

from django.db import Error, close_old_connections
from django.utils import timezone

from pipeline.engine import canvas, sweeper
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus
from pipeline.resilience.retries import is_transient
from pipeline.runs import liveness
from pipeline.runs.in_process import Progress

logger = logging.getLogger(__name__)

SHORTEST_POLL, LONGEST_POLL = 0.02, 0.5
PATIENCE = timedelta(minutes=10)
AWAY = "The database cannot be used now, and is waited for; what is done is kept"
BACK = "The database answers again."


class _Outage:
    """An outage of the database: `tell` hears of its beginning and its end."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since: float | None = None

    def bear(self, error: Error) -> None:
        """Bear an error of the database; raise it where it will not pass, or has lasted too long."""
        now = time.monotonic()
        if not is_transient(error) or now - (self._since or now) > PATIENCE.total_seconds():
            raise error
        close_old_connections()
        if self._since is None:
            self._since = now
            self._tell(f"{AWAY}: {str(error).strip().splitlines()[0]}")

    def end(self) -> None:
        """Note that the database answers."""
        if self._since is not None:
            self._since = None
            self._tell(BACK)


def wait(
    run: Run,
    progress: Progress,
    worker: str = "",
    idle: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = logger.warning,
    sleep: Callable[[float], None] | None = None,
) -> Run:
    """Poll until the run has ended, write its heartbeats, and sweep now and then: no chord, beat or message is needed.

    `progress` hears of each partition once, when it is done. `idle` is called while nothing happens. A database that is
    away for less than ten minutes is waited for, and `tell` hears of it. `sleep` is that of an engine in this process, which
    ends with each task; without it, the poll is quicker while partitions end.
    """
    watch, pause, outage = _Watch(run, worker), SHORTEST_POLL, _Outage(tell)
    while True:
        ended, news = False, list[RunPartition]()
        try:
            ended, news = watch.look()
            if not news:
                idle()
            outage.end()
        except Error as error:
            outage.bear(error)
            watch.put_off_sweep()
        for step in news:
            progress(step)
        if ended:
            return run
        pause = SHORTEST_POLL if news else min(pause * 1.5, LONGEST_POLL)
        if sleep:
            sleep(LONGEST_POLL)
        else:
            time.sleep(pause)


class _Watch:
    """A run that is waited for. `worker`, if given, executes it in this process."""

    def __init__(self, run: Run, worker: str) -> None:
        self._run, self._worker = run, worker
        self._seen: set[int] = set()
        self._swept = time.monotonic()

    def look(self) -> tuple[bool, list[RunPartition]]:
        """Do what is due; whether the run has ended, and the partitions that have since the last look.

        They are asked for last: of what an error interrupts, the next look tells.
        """
        ended = _poll(self._run, self._worker)
        if canvas.is_due_again(self._run):
            canvas.dispatch(self._run.pk)
        if time.monotonic() - self._swept > sweeper.SWEEP_SECONDS:
            self.put_off_sweep()
            sweeper.sweep(self._worker)
        news = _done_besides(self._run, self._seen)
        self._seen.update(step.pk for step in news)
        return ended, news

    def put_off_sweep(self) -> None:
        """Begin the time until the next sweep anew: after an outage, live workers give a heartbeat before it."""
        self._swept = time.monotonic()


def _poll(run: Run, worker: str) -> bool:
    """Whether the run has ended. `worker`, if given, executes it in this process, and gets its heartbeat."""
    run.refresh_from_db()
    if worker and liveness.is_beat_due(run):
        Run.objects.filter(pk=run.pk, worker=worker).update(heartbeat_at=timezone.now())
    return run.status != RunStatus.RUNNING


def _done_besides(run: Run, seen: Collection[int]) -> list[RunPartition]:
    done = run.partitions.filter(status=PartitionStatus.DONE).exclude(pk__in=seen)
    return list(done.select_related("partition", "capture").order_by("finished_at", "pk"))
