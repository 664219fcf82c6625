"""The canvas of a run: for each week a chord, with a task per partition as its header, and the week's close as its body.

The ledger is the outbox: its rows say which messages are to be sent, and which were sent when. A chord is the fast path
only: the sweeper resends what it loses. Tasks are signatures by name: importing them would be a circle.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import date, datetime
from functools import partial

import kombu.exceptions
import redis.exceptions
from celery import chord, current_app
from celery.canvas import Signature
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline.checkpoints import checkpoints
from pipeline.engine import ping
from pipeline.models import PartitionStatus, Run, RunPartition
from pipeline.runs import close_week, lifecycle
from pipeline.runs.plan import Plan
from pipeline.task_names import CHECK_UP, CLOSE_WEEK, PROCESS_PARTITION

logger = logging.getLogger(__name__)

# On Redis the lowest number comes first. A backfill of years does not keep this week's data waiting.
PRIORITIES = {"backfill": 6, "probe_restatements": 6}
PRIORITY = 3

UNREACHABLE = (kombu.exceptions.OperationalError, redis.exceptions.RedisError, ConnectionError, TimeoutError)


def launch(plan: Plan, worker: str = "", *, schedule: str = "", slot: datetime | None = None) -> Run:
    """Write the run, and send it to the workers after the commit; IntegrityError when the slot has its run."""
    with transaction.atomic():
        run = lifecycle.start(plan, worker, schedule=schedule, slot=slot)
        transaction.on_commit(partial(dispatch, run.pk))
    return run


def resume(run: Run) -> None:
    """Resume a stopped run: close the weeks whose partitions are done, and send the undone partitions."""
    for week in close_week.complete_weeks(run, timezone.now()):
        _send_quietly(_task(CLOSE_WEEK, run.pk, week.isoformat(), priority=_priority(run)))
    advance(run)


@checkpoints("run.dispatch")
def dispatch(run_id: int) -> bool:
    """Send the next weeks of a run, up to the limit of partitions in flight.

    False when the broker cannot be reached: the next dispatch sends them.
    """
    with transaction.atomic(durable=True):
        run = Run.objects.under_way().select_for_update().filter(pk=run_id).first()
        weeks = _next_weeks(run) if run else {}
        marked = RunPartition.objects.filter(pk__in=[pk for ids in weeks.values() for pk in ids])
        marked.update(sent_at=timezone.now(), sendings=F("sendings") + 1)
    return run is None or _send(run, weeks)


def _next_weeks(run: Run) -> dict[date, list[int]]:
    """The partitions to send now, by week, newest first: whole weeks, and at least one, whatever its size.

    A week is in flight, with all its partitions, until it is closed: otherwise weeks to close would pile up in the queue.
    """
    unsent: dict[date, list[int]] = {}
    for pk, week in unsent_now(run).values_list("pk", "partition__week_ending"):
        unsent.setdefault(week, []).append(pk)
    open_weeks = run.weeks.filter(closed_at__isnull=True).values("week_ending")
    begun = run.partitions.filter(sent_at__isnull=False, partition__week_ending__in=open_weeks)
    in_flight = Counter(begun.values_list("partition__week_ending", flat=True).order_by())
    room = settings.MARKETSPINE_MAX_IN_FLIGHT - in_flight.total()
    chosen = {week: ids for week, ids in unsent.items() if week in in_flight}
    for week, ids in unsent.items():
        if week in in_flight:
            continue
        if len(ids) > room and (chosen or in_flight):
            break
        chosen[week] = ids
        room -= len(ids)
    return chosen


def unsent_now(run: Run) -> models.QuerySet[RunPartition]:
    """The partitions of a run to send now: unsent, and not to be tried later."""
    pending = run.partitions.filter(status=PartitionStatus.PENDING, sent_at__isnull=True)
    return pending.filter(Q(retry_at__isnull=True) | Q(retry_at__lte=timezone.now()))


def is_due_again(run: Run) -> bool:
    """Whether the time of a partition's next try has come."""
    return unsent_now(run).filter(retry_at__isnull=False).exists()


def is_queue_empty() -> bool:
    """Whether no partition of any run waits in the queue; False where the broker cannot be asked."""
    queue = settings.CELERY_TASK_ROUTES[PROCESS_PARTITION]["queue"]
    try:
        with current_app.connection_or_acquire() as connection:
            return not connection.default_channel._size(queue)
    except UNREACHABLE as error:
        logger.warning("the queue's length is not known: the broker cannot be reached: %s", error)
        return False


def _send(run: Run, weeks: dict[date, list[int]]) -> bool:
    sent = []
    try:
        for week, ids in weeks.items():
            week_canvas(run, week, ids).apply_async()
            sent.append(week)
    except UNREACHABLE as error:
        logger.warning("run %s: the broker cannot be reached: %s", run.pk, error)
        unsent = [pk for week, ids in weeks.items() if week not in sent for pk in ids]
        RunPartition.objects.filter(pk__in=unsent, status=PartitionStatus.PENDING).update(sent_at=None)
        return False
    return True


@checkpoints("week.send")
def week_canvas(run: Run, week_ending: date, run_partition_ids: list[int]) -> chord:
    """The chord of one week. Its header tasks and its body take ids, and read the ledger."""
    header = [_task(PROCESS_PARTITION, pk, priority=_priority(run)) for pk in run_partition_ids]
    return chord(header, _task(CLOSE_WEEK, run.pk, week_ending.isoformat(), priority=_priority(run)))


def _priority(run: Run) -> int:
    return PRIORITIES.get(run.command, PRIORITY)


def _task(name: str, *arguments: object, **options: object) -> Signature[None]:
    return current_app.signature(name, args=arguments, options=options, immutable=True)


@checkpoints("run.advance")
def advance(run: Run) -> None:
    """After the close of a week: settle the run if it was the last one, else send the next ones."""
    if not lifecycle.settle(run):
        dispatch(run.pk)
        return
    ping.after(run)
    if not run.worker and PeriodicTask.objects.filter(task=CHECK_UP, enabled=True).exists():
        _send_quietly(_task(CHECK_UP, run.pk))


def _send_quietly(task: Signature[None]) -> None:
    """Send a task; log it if the broker is away. The sweeper, or the next day's schedule, sends it again."""
    try:
        task.apply_async()
    except UNREACHABLE as error:
        logger.warning("%s is not sent: the broker cannot be reached: %s", task, error)
