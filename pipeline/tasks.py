"""Celery's shells: load a row, call a function, done. They take ids, return nothing, and raise for bugs only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from pipeline import archive_findings, canvas, checkup, runs, schedules, steps, stopping, sweeper, workers
from pipeline.calendar import market_today
from pipeline.models import Run
from pipeline.transient import backoff, is_transient

Shell = Task[Any, None]

SWEEP_SECONDS = 60
MOST_RETRIES = 10


@contextmanager
def _retrying(task: Shell) -> Iterator[None]:
    """Try again what an error that may pass has ended, a few times; then the sweeper has it."""
    try:
        yield
    except Exception as error:
        if not is_transient(error):
            raise
        wait = backoff(task.request.retries + 1).total_seconds()
        raise task.retry(exc=error, countdown=wait, max_retries=MOST_RETRIES) from error


@shared_task(bind=True, name="pipeline.process_partition", max_retries=None)
def process_partition(self: Shell, run_partition_id: int) -> None:
    """Bring one partition of a run to its outcome."""
    with _retrying(self), workers.working() as worker:
        wait = steps.process(run_partition_id, worker, retries=True)
    if wait:
        raise self.retry(countdown=wait.total_seconds())


@shared_task(bind=True, name="pipeline.close_week")
def close_week(self: Shell, run_id: int, week_ending: str) -> None:
    """Close one week of a run, when all of it is done, and bring the run on."""
    with _retrying(self):
        run = Run.objects.get(pk=run_id)
        if runs.close_week(run, date.fromisoformat(week_ending)):
            canvas.go_on(run)


@shared_task(name="pipeline.sweep")
def sweep() -> None:
    """Show that a worker is there, bring stalled runs to their end, and make up for missed slots."""
    sweeper.show_up()
    sweeper.sweep()
    schedules.mend()
    schedules.start_owed()


@shared_task(name="pipeline.start_scheduled")
def start_scheduled(**_parameters: object) -> None:
    """Start the runs that the schedules owe: what is owed comes from the schedules' rows and the ledger."""
    schedules.start_owed()


@shared_task(name="pipeline.check_up")
def check_up(run_id: int | None = None) -> None:
    """Judge the weeks again, and have the doctor look: after each run, and daily."""
    checkup.check_up(Run.objects.get(pk=run_id) if run_id else None)


@shared_task(name="pipeline.check_archive")
def check_archive() -> None:
    """See that the archive has the payload of every capture, and read some of them whole, in turn."""
    archive_findings.look(market_today(), read=settings.MARKETSPINE_ARCHIVE_READS)


@worker_ready.connect
def sweep_at_start(sender: Any, **_signal: object) -> None:
    """What was missed or lost while no worker was there is made up for at once. (A queue in memory starts empty.)"""
    if sender.app.connection().transport.driver_type != "memory":
        sweep.apply_async(expires=SWEEP_SECONDS)


@worker_shutting_down.connect
def stop(**_signal: object) -> None:
    """A worker that was told to stop, warm or cold, begins no partition, whatever message it has in hand."""
    stopping.order()
