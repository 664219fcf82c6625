"""A claim: one process has one partition of a run, by one conditional UPDATE, until it writes the outcome.

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
from pipeline.runs import liveness

logger = logging.getLogger(__name__)

BUSY = timedelta(seconds=1)  # the wait for another run that has the partition under way


@checkpoints("claim")
def claim(run_partition_id: int, worker: str) -> RunPartition | None:
    """The partition, RUNNING from now on; None when it cannot be claimed; IntegrityError while another run has it."""
    now = timezone.now()
    # No join: after a wait PostgreSQL checks the WHERE again on the new row, but not on joined ones.
    pending = RunPartition.objects.filter(
        pk=run_partition_id, status=PartitionStatus.PENDING, run__in=Run.objects.under_way()
    )
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
    if liveness.is_beat_due(step.run):
        Run.objects.filter(pk=step.run_id).update(heartbeat_at=now)
    return step


def _is_own(run_partition_id: int, worker: str) -> bool:
    """Whether an earlier try of this execution claimed it, just before the database went away."""
    return RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.RUNNING, worker=worker).exists()


def postpone(run_partition_id: int) -> None:
    """Let it be sent again when the other run may be done with the partition."""
    pending = RunPartition.objects.filter(pk=run_partition_id, status=PartitionStatus.PENDING)
    pending.update(sent_at=None, retry_at=timezone.now() + BUSY)


def requeue(step: RunPartition, wait: timedelta) -> None:
    """Give the partition back, to be tried again after `wait`.

    The instant is stored in the ledger: a delayed message would wait in a worker's memory, and die with it.
    """
    with transaction.atomic():
        if own(step).update(status=PartitionStatus.PENDING, sent_at=None, retry_at=timezone.now() + wait):
            Tally.objects.add("work_attempts", outcome="retried")


def heartbeat(step: RunPartition) -> bool:
    """Write a sign of life, and an order to stop, from a thread of its own; whether that could be written."""
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
    """The row, if this attempt of this worker still has the claim; outcomes are written through it."""
    under_way = RunPartition.objects.filter(pk=step.pk, status=PartitionStatus.RUNNING)
    return under_way.filter(attempts=step.attempts, worker=step.worker)


def stage_of(step: RunPartition) -> Stage:
    """The stage in which the partition failed: NORMALIZED where it read an archived payload again, else RAW."""
    return Stage.NORMALIZED if step.action == Action.NORMALIZE else Stage.RAW
