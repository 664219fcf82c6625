"""Celery's shells: load a row, call a function, done. They take ids, return nothing, and raise for bugs only.

None is retried by Celery: a message that waits for its time waits in a worker's memory, and dies with it. The next try of
a partition stands in its row, and a database that is away is waited for.

Results are kept for chords only: who sends a task that has one listens for it, on a connection that dies with the broker.
"""

from __future__ import annotations

import logging
from datetime import date
from functools import partial
from typing import Any

from celery import bootsteps, current_app, shared_task
from celery.signals import beat_init, worker_ready, worker_shutting_down
from django.conf import settings

from pipeline import task_names
from pipeline.conditions import look, stand_in
from pipeline.engine import canvas, schedules, sweeper
from pipeline.engine.embedded import NO_BROKER
from pipeline.finra.calendar import market_today
from pipeline.integrity import losses
from pipeline.keeping.exclusive import Busy
from pipeline.keeping.policy import BadPolicy, Policy
from pipeline.models import Run
from pipeline.models.anomaly import MARKETSPINE
from pipeline.notices import sending
from pipeline.operations import pruning
from pipeline.operations.orders import Order
from pipeline.resilience import stopping
from pipeline.resilience.connections import patiently
from pipeline.resilience.failures import sentence_of
from pipeline.review import doctor
from pipeline.runs import close_week as weeks
from pipeline.runs import liveness
from pipeline.runs import process_partition as partitions
from pipeline.weeks import readiness

logger = logging.getLogger(__name__)

EVERYTHING = 2**31  # files: more than any archive has
BY_SCHEDULE = Order(operator=MARKETSPINE, reason="by schedule")


@shared_task(name=task_names.PROCESS_PARTITION)
def process_partition(run_partition_id: int) -> None:
    """Bring one partition of a run to its outcome, or to its next try."""
    with liveness.working() as worker:
        partitions.process(run_partition_id, worker, retries=True)


@shared_task(name=task_names.CLOSE_WEEK, throws=(OSError,))
def close_week(run_id: int, week_ending: str) -> None:
    """Close one week of a run, when all of it is done, and bring the run on.

    A full disk, say, leaves the week open for another try: it is told as such, without the traceback of a bug.
    """
    try:
        patiently(partial(_close_week, run_id, date.fromisoformat(week_ending)))
    except OSError as error:
        logger.error("run %s: the week %s is not closed yet: %s", run_id, week_ending, sentence_of(error))
        raise


def _close_week(run_id: int, week_ending: date) -> None:
    run = Run.objects.get(pk=run_id)
    if weeks.close_week(run, week_ending):
        canvas.advance(run)


@shared_task(name=task_names.RECOVER, ignore_result=True)
def recover() -> None:
    """Show that a worker is there, bring stalled runs to their end, tell people: each worker of `control` has it done."""
    sweeper.report_alive()
    sweeper.sweep()
    look.look_in_turn()
    for channel_id in sending.prepare():
        send_notices.apply_async((channel_id,), expires=sweeper.SWEEP_SECONDS)


@shared_task(name=task_names.SEND_NOTICES, ignore_result=True)
def send_notices(channel_id: int) -> None:
    """Send what is due to one channel: a service that hangs keeps no other channel, and no sweep, waiting."""
    sending.send_channel(channel_id)


@beat_init.connect
def stand_in_for_workers(**_signal: object) -> None:
    """Where no worker is left to tell of it, beat does."""
    if settings.CELERY_BROKER_URL != NO_BROKER:
        stand_in.begin()


@shared_task(name=task_names.SWEEP, ignore_result=True)
def sweep() -> None:
    """The same from beat, each minute, which also makes up for missed slots."""
    recover()
    schedules.mend()
    schedules.start_owed()


@shared_task(name=task_names.START_SCHEDULED, ignore_result=True)
def start_scheduled(**_parameters: object) -> None:
    """Start the runs that the schedules owe: what is owed comes from the schedules' rows and the ledger."""
    schedules.start_owed()


@shared_task(name=task_names.CHECK_UP, ignore_result=True)
def check_up(run_id: int | None = None) -> None:
    """Judge the weeks again, and have the doctor look: after each run, and daily."""
    today = Run.objects.get(pk=run_id).run_date if run_id else market_today()
    readiness.decide_again(settings.MARKETSPINE_LOOKBACK_WEEKS, today)
    doctor.log_findings(doctor.diagnose(settings.MARKETSPINE_LOOKBACK_WEEKS, today))


@shared_task(name=task_names.CHECK_ARCHIVE)
def check_archive(everything: bool = False) -> None:
    """See that the archive has the files of every capture, and read some of them whole, in turn; or all.

    Cut short by its time limit, it has kept what it found, and the next goes on with those not read for longest.
    """
    losses.check(market_today(), read=EVERYTHING if everything else settings.MARKETSPINE_ARCHIVE_READS)


@shared_task(name=task_names.PLAN_PRUNING, ignore_result=True)
def plan_pruning(**policy: Any) -> None:
    """Plan what may be pruned, for a person to look at. A policy that cannot be is in the log, and plans nothing."""
    try:
        pruning.plan_pruning(Policy.read(policy), BY_SCHEDULE)
    except BadPolicy as error:
        logger.error("nothing is planned: %s", error)


@shared_task(name=task_names.REMOVE_PRUNED, ignore_result=True)
def remove_pruned() -> None:
    """Remove what a person has marked, and what is due; while a backup is made, the next day."""
    try:
        for one in pruning.remove_pruned(BY_SCHEDULE):
            logger.info("%s: %s, %s", one.state, one.capture, one.why)
    except Busy as error:
        logger.warning("nothing is removed: %s", error)


@worker_ready.connect
def sweep_at_start(sender: Any, **_signal: object) -> None:
    """Sweep at the start of a worker: slots were missed while none was there. (A queue in memory starts empty.)"""
    if not _is_embedded(sender):
        sweep.apply_async(expires=sweeper.SWEEP_SECONDS)


@worker_shutting_down.connect
def stop(**_signal: object) -> None:
    """A worker that was told to stop, warm or cold, begins no partition, whatever message it has in hand."""
    stopping.order()


class Recovering(bootsteps.StartStopStep):
    """A worker of the queue `control` has its processes sweep every 15 seconds, whether there is a beat or not."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """With each connection to the broker: losing one clears the timer."""
        if not _is_embedded(parent) and current_app.conf.task_default_queue in parent.app.amqp.queues.consume_from:
            parent.timer.call_repeatedly(sweeper.SWEEP_SECONDS, _send_recover)


def _send_recover() -> None:
    try:
        recover.apply_async(expires=sweeper.SWEEP_SECONDS)
    except canvas.UNREACHABLE as error:
        logger.warning("no sweep is sent: the broker cannot be reached: %s", error)


def _is_embedded(consumer: Any) -> bool:
    return bool(consumer.app.connection().transport.driver_type == "memory")


current_app.steps["consumer"].add(Recovering)
