"""Celery's shells: load a row, call a function. They take ids, return nothing, and raise for bugs only.

Celery retries none of them: a message with a later time waits in a worker's memory, and dies with it. A partition's next
try stands in its row instead, and a task waits for a database that is away.
Only chords keep results: the sender of a task with a result listens on a connection, which dies with the broker.
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
    """Close one week of a run, when all its partitions are done, and advance the run.

    An error of the system, such as a full disk, leaves the week open for another try: it is no bug, so no traceback.
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
    """Report this worker alive, recover stalled runs, tell people. Each worker of the queue `control` sends it."""
    sweeper.report_alive()
    sweeper.sweep()
    look.look_in_turn()
    for channel_id in sending.prepare():
        send_notices.apply_async((channel_id,), expires=sweeper.SWEEP_SECONDS)


@shared_task(name=task_names.SEND_NOTICES, ignore_result=True)
def send_notices(channel_id: int) -> None:
    """Send one channel's due messages. A task for each channel: a service that hangs delays no other, and no sweep."""
    sending.send_channel(channel_id)


@beat_init.connect
def stand_in_for_workers(**_signal: object) -> None:
    """Let beat tell people that no worker is left."""
    if settings.CELERY_BROKER_URL != NO_BROKER:
        stand_in.begin()


@shared_task(name=task_names.SWEEP, ignore_result=True)
def sweep() -> None:
    """Recover, mend the schedules and start owed runs: beat sends it each minute."""
    recover()
    schedules.mend()
    schedules.start_owed()


@shared_task(name=task_names.START_SCHEDULED, ignore_result=True)
def start_scheduled(**_parameters: object) -> None:
    """Start the runs that the schedules owe, by their rows and the ledger; the message's parameters do not count."""
    schedules.start_owed()


@shared_task(name=task_names.CHECK_UP, ignore_result=True)
def check_up(run_id: int | None = None) -> None:
    """Judge the weeks again, and have the doctor look: after each run, and daily."""
    today = Run.objects.get(pk=run_id).run_date if run_id else market_today()
    readiness.decide_again(settings.MARKETSPINE_LOOKBACK_WEEKS, today)
    doctor.log_findings(doctor.diagnose(settings.MARKETSPINE_LOOKBACK_WEEKS, today))


@shared_task(name=task_names.CHECK_ARCHIVE)
def check_archive(everything: bool = False) -> None:
    """See that the archive has the files of every capture, and read some of them whole, in turn, or all.

    Its findings are kept as it goes: cut short by the time limit, the next check goes on with those not read for longest.
    """
    losses.check(market_today(), read=EVERYTHING if everything else settings.MARKETSPINE_ARCHIVE_READS)


@shared_task(name=task_names.PLAN_PRUNING, ignore_result=True)
def plan_pruning(**policy: Any) -> None:
    """Plan a pruning for a person to look at. A bad policy is logged, and plans nothing."""
    try:
        pruning.plan_pruning(Policy.read(policy), BY_SCHEDULE)
    except BadPolicy as error:
        logger.error("nothing is planned: %s", error)


@shared_task(name=task_names.REMOVE_PRUNED, ignore_result=True)
def remove_pruned() -> None:
    """Remove the marked captures whose undo window has passed; while a backup is made, none until the next day."""
    try:
        for one in pruning.remove_pruned(BY_SCHEDULE):
            logger.info("%s: %s, %s", one.state, one.capture, one.why)
    except Busy as error:
        logger.warning("nothing is removed: %s", error)


@worker_ready.connect
def sweep_at_start(sender: Any, **_signal: object) -> None:
    """Sweep when a worker starts: slots may have been missed. An embedded one has no past: its queue is in memory."""
    if not _is_embedded(sender):
        sweep.apply_async(expires=sweeper.SWEEP_SECONDS)


@worker_shutting_down.connect
def stop(**_signal: object) -> None:
    """Let a worker that was told to stop, warm or cold, begin no further partition, whatever message it has in hand."""
    stopping.order()


class Recovering(bootsteps.StartStopStep):
    """A worker of the queue `control` has its processes sweep every 15 seconds, whether there is a beat or not."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Set the timer with each connection to the broker: losing one clears it."""
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
