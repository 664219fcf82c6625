"""A claim: one process has one partition of a run, by one conditional UPDATE, until it writes what became of it.

The database allows one claim per partition at a time, whichever runs want it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import Error, connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.models import Action, PartitionStatus, Run, RunPartition, Stage, Tally
from pipeline.resilience import stopping

logger = logging.getLogger(__name__)

BUSY = timedelta(seconds=1)  # how long to wait for another run that has the partition under way


@checkpoints("claim")
def claim(run_partition_id: int, worker: str) -> RunPartition | None:
    """The partition, under way from now on; None when it is not to be had; IntegrityError while another run has it."""
    now = timezone.now()
    # No join: PostgreSQL checks again, on the row as it is then, only what stands beside the row in the WHERE.
    pending = RunPartition.objects.filter(
        pk=run_partition_id, status=PartitionStatus.PENDING, run__in=Run.objects.under_way()
    )
    with transaction.atomic():
        claimed = pending.update(
            status=PartitionStatus.RUNNING,
            worker=worker,
            started_at=now,
            heartbeat_at=now,
            stop_ordered_at=None,
            attempts=F("attempts") + 1,
        )
    if not claimed and not _is_own(run_partition_id, worker):
        return None
    step = RunPartition.objects.select_related("run", "partition").get(pk=run_partition_id)
    Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    return step


def _is_own(run_partition_id: int, worker: str) -> bool:
    """Whether an earlier try of this execution has claimed it, and the database went away before it could say so."""
    return RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.RUNNING, worker=worker).exists()


def postpone(run_partition_id: int) -> None:
    """Have it sent again when the other run may be done with the partition."""
    pending = RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING)
    pending.update(sent_at=None, retry_at=timezone.now() + BUSY)


def requeue(step: RunPartition, wait: timedelta) -> None:
    """Give the partition back, to be tried again after `wait`.

    The instant stands in the ledger: a message that waits in a worker's memory would die with it.
    """
    with transaction.atomic():
        if own(step).update(status=PartitionStatus.PENDING, sent_at=None, retry_at=timezone.now() + wait):
            Tally.objects.add("work_attempts", outcome="retried")


def heartbeat(step: RunPartition) -> bool:
    """A sign of life, from a thread of its own; whether it could be given. It says whether the worker is to stop."""
    now = timezone.now()
    ordered = {"stop_ordered_at": Coalesce("stop_ordered_at", Value(now))} if stopping.is_ordered() else {}
    try:
        own(step).update(heartbeat_at=now, **ordered)
        Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    except Error as error:
        logger.warning("%s: no sign of life could be given: %s", step, error)
        return False
    finally:
        connection.close()
    return True


def own(step: RunPartition) -> models.QuerySet[RunPartition]:
    """The row if this attempt of this worker still has the claim, else none: outcomes are written through it."""
    under_way = RunPartition.objects.filter(pk=step.pk, status=PartitionStatus.RUNNING)
    return under_way.filter(attempts=step.attempts, worker=step.worker)


def stage_of(step: RunPartition) -> Stage:
    """The stage that a breakdown of the partition was in: reading an archived payload again, or fetching."""
    return Stage.NORMALIZED if step.action == Action.NORMALIZE else Stage.RAW
