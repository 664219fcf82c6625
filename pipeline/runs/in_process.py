"""A run executed in this process, without an engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.utils import timezone

from pipeline.finra.sources.base import Source
from pipeline.models import (
    Run,
    RunPartition,
)
from pipeline.runs import close_week, lifecycle, liveness, process_partition, recovery
from pipeline.runs.process_partition import Done, TryAgain

Progress = Callable[[RunPartition], None]


def execute(run: Run, source: Source | None, progress: Progress = lambda step: None) -> Run:
    """Execute a run in this process, without an engine: a partition at a time, each week closed after its last one.

    An interruption leaves the run INTERRUPTED, and its unfinished partitions PENDING.
    """
    with liveness.working() as worker:
        try:
            Run.objects.filter(pk=run.pk).update(worker=worker, heartbeat_at=timezone.now())
            for week in list(run.weeks.filter(closed_at__isnull=True)):
                for step in run.partitions.filter(partition__week_ending=week.week_ending):
                    _process(step, source, worker)
                    progress(RunPartition.objects.select_related("partition", "capture").get(pk=step.pk))
                close_week.close_week(run, week.week_ending)
            lifecycle.settle(run)
        except BaseException:
            if Run.objects.filter(pk=run.pk, worker=worker).exists():  # another process may have taken it over
                lifecycle.interrupt(run)
            raise
    run.refresh_from_db()
    return run


def _process(step: RunPartition, source: Source | None, worker: str) -> None:
    """Process one partition; while another run has it under way, wait until that is done, or dead."""
    while True:
        match process_partition.process(step.pk, worker, source):
            case Done():
                return
            case TryAgain(after):
                time.sleep(after.total_seconds())
                recovery.requeue_dead()
                recovery.requeue_stalled()
