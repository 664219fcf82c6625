"""Waiting for a run, with progress from the ledger: the same whichever engine works on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import Error, close_old_connections
from django.utils import timezone

from pipeline import sweeper
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus
from pipeline.runs import Progress
from pipeline.transient import is_transient

logger = logging.getLogger(__name__)

SHORTEST_LOOK, LONGEST_LOOK = 0.02, 0.5
SWEEP_SECONDS = 15
PATIENCE = 120
BEAT = timedelta(seconds=5)


def wait(run: Run, progress: Progress, worker: str = "", idle: Callable[[], None] = lambda: None) -> Run:
    """Look until the run has ended, give signs of life for it, and sweep now and then: no chord, beat or message is needed.

    `progress` hears of each partition once, when it is done. `idle` is called while nothing happens. A database that goes
    away for less than two minutes is waited for.
    """
    seen: set[int] = set()
    swept = heard = time.monotonic()
    pause = SHORTEST_LOOK
    while True:
        try:
            ended = _look(run, worker)
            news = list(_news(run, seen))
            if time.monotonic() - swept > SWEEP_SECONDS:
                swept = time.monotonic()
                sweeper.sweep(worker)
            heard = time.monotonic()
        except Error as error:
            _bear(error, time.monotonic() - heard)
            ended, news = False, []
        for step in news:
            progress(step)
        if ended:
            return run
        pause = SHORTEST_LOOK if news else min(pause * 1.5, LONGEST_LOOK)
        if not news:
            idle()
        time.sleep(pause)


def _look(run: Run, worker: str) -> bool:
    """Whether the run has ended. A process that waits for its own run gives a sign of life for it."""
    run.refresh_from_db()
    if worker and abs(timezone.now() - run.heartbeat_at) > BEAT:  # a clock may be set back
        Run.objects.filter(pk=run.pk, worker=worker).update(heartbeat_at=timezone.now())
    return run.status != RunStatus.RUNNING


def _news(run: Run, seen: set[int]) -> Iterator[RunPartition]:
    done = run.partitions.filter(status=PartitionStatus.DONE).exclude(pk__in=seen)
    for step in done.select_related("partition", "capture").order_by("finished_at", "pk"):
        seen.add(step.pk)
        yield step


def _bear(error: Error, since: float) -> None:
    """Go on looking when the database was restarted, for a while."""
    if not is_transient(error) or since > PATIENCE:
        raise error
    logger.warning("the database does not answer: %s", error)
    close_old_connections()
