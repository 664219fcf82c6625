"""Driving runs to their end: embedded in this process, on the queue, or after a process died.

A command brings the run and prints its progress; `serve` and `recover_runs` begin with the runs in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import connection

from marketspine import logs
from pipeline.engine import canvas, embedded, schedules, sweeper, waiting
from pipeline.engine.embedded import NO_BROKER
from pipeline.engine.sweeper import Recovered
from pipeline.models import Run
from pipeline.runs import lifecycle, recovery
from pipeline.runs.in_process import Progress


def run_embedded(run: Run, worker: str, progress: Progress, tell: Callable[[str], None]) -> None:
    """Execute a run with an engine in this process; an error or Ctrl-C leaves it INTERRUPTED.

    Told to stop, the engine finishes partitions under way; the same command resumes the run later.
    """
    try:
        with logs.bound_in_process(run_id=run.pk), embedded.engine() as sleep:
            canvas.resume(run)
            waiting.wait(run, progress, worker, tell=tell, sleep=sleep)
    except BaseException:
        connection.close()  # Ctrl-C may have cut a query: that connection is of no more use
        lifecycle.interrupt(run)
        raise


def resume_queue() -> None:
    """Resume the runs of the queue at once: their sent messages were in the memory of a process that is gone.

    If another process works on the same ledger, some are sent twice: only the first to claim a partition works on it.
    """
    sweeper.report_alive()
    schedules.mend()
    _sweep_after_restart()
    for run in _of_queue():
        canvas.resume(run)


def recover(progress: Progress) -> Recovered:
    """Sweep by hand; without a broker, execute the runs of the queue here."""
    if settings.CELERY_BROKER_URL != NO_BROKER:
        return sweeper.sweep()
    with embedded.engine() as sleep:
        recovered = _sweep_after_restart()
        for run in _of_queue():
            canvas.resume(run)
            waiting.wait(run, progress, sleep=sleep)
    return recovered


def _sweep_after_restart() -> Recovered:
    """Resend the messages of the queue, which were in the memory of a process that is gone, and sweep."""
    recovery.resend_queued()
    return sweeper.sweep()


def _of_queue() -> list[Run]:
    """The runs under way that belong to the queue."""
    return list(Run.objects.under_way().of_queue().order_by("pk"))
