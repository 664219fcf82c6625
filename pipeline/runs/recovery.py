"""Recovery: work of dead processes is requeued, and lost messages are sent again."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.models import (
    Anomaly,
    Category,
    Notice,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    Severity,
    Tally,
    TallyEntry,
)
from pipeline.resilience import clock
from pipeline.runs import lifecycle
from pipeline.runs.claims import own, stage_of
from pipeline.runs.liveness import is_dead, is_stalled

LONGEST_RESEND_DOUBLINGS = 6


def requeue_dead() -> list[Run]:
    """Interrupt the runs whose process died: by its token where it ran here, by its heartbeat elsewhere."""
    dead = [run for run in Run.objects.under_way() if is_dead(run)]
    for run in dead:
        with transaction.atomic():
            if lifecycle.interrupt(run):
                Notice.objects.open(run.failure("its process died before its end"))
    return dead


@checkpoints("stalled.requeue")
def requeue_stalled() -> tuple[int, int]:
    """Requeue partitions whose worker died or hung, and fail those after too many attempts; how many of each.

    Safe on every machine at once: rows that another process has locked are passed over.
    """
    with transaction.atomic():
        running = RunPartition.objects.filter(status=PartitionStatus.RUNNING).select_related("run", "partition")
        stalled = [step for step in running.select_for_update(of=("self",), skip_locked=True) if is_stalled(step)]
        cut = [step for step in stalled if step.stop_ordered_at]
        lost = [step for step in stalled if not step.stop_ordered_at]
        hopeless = [step for step in lost if step.attempts >= settings.MARKETSPINE_MAX_ATTEMPTS]
        for step in hopeless:
            _fail_stalled(step)
        _requeue([step for step in lost if step not in hopeless], "worker_lost")
        _requeue(cut, "cut", attempts=F("attempts") - 1)
    return len(stalled) - len(hopeless), len(hopeless)


def _requeue(steps: list[RunPartition], counted: str, **changes: object) -> None:
    """Make them PENDING again. A try cut short by its worker's order to stop does not count: nodes are drained often."""
    pending = {"status": PartitionStatus.PENDING, "sent_at": None, "retry_at": None}
    if RunPartition.objects.filter(pk__in=[step.pk for step in steps]).update(**pending, **changes):
        Tally.objects.add("work_attempts", len(steps), outcome=counted)


def _fail_stalled(step: RunPartition) -> None:
    message = f"failed after {step.attempts} attempts: each time its worker died or hung"
    Anomaly.objects.record(
        Category.STALLED, Severity.CRITICAL, message, partition=step.partition, stage=stage_of(step), run=step.run
    )
    own(step).update(status=PartitionStatus.DONE, outcome=Outcome.FAILED, reason=message, finished_at=timezone.now())
    Tally.objects.add_each(
        TallyEntry.of("work_attempts", outcome="stalled"),
        TallyEntry.of("partition_outcomes", tier=step.partition.tier, outcome=Outcome.FAILED),
    )


@checkpoints("unstarted.resend")
def resend_unstarted() -> int:
    """Let messages that did not start in time be sent again, each time after twice as long; how many."""
    now, after = timezone.now(), timedelta(seconds=settings.MARKETSPINE_RESEND_AFTER_SECONDS)
    waiting = RunPartition.objects.filter(
        status=PartitionStatus.PENDING, run__in=Run.objects.under_way(), sent_at__isnull=False
    )
    lost = [step.pk for step in waiting if step.sent_at and _is_overdue(step, step.sent_at, now, after)]
    return waiting.filter(pk__in=lost).update(sent_at=None)


def _is_overdue(step: RunPartition, sent_at: datetime, now: datetime, after: timedelta) -> bool:
    """Whether it should have started by now. One sent in the future was sent by a clock that has been set back."""
    return sent_at < now - after * _doublings(step) or clock.is_ahead(sent_at, now)


def sent_before(worker: str, before: datetime) -> models.QuerySet[RunPartition]:
    """The partitions sent before an instant and not started, of the runs of the queue or of the process `worker`."""
    runs = Run.objects.under_way().filter(worker=worker)
    return RunPartition.objects.filter(status=PartitionStatus.PENDING, run__in=runs, sent_at__lt=before)


def resend_queued() -> int:
    """Let the queue's unstarted messages be sent again, which were in the memory of a process that is gone; how many."""
    queued = RunPartition.objects.filter(status=PartitionStatus.PENDING, run__in=Run.objects.under_way().of_queue())
    return queued.filter(sent_at__isnull=False).update(sent_at=None)


def _doublings(step: RunPartition) -> int:
    return 1 << min(max(step.sendings - 1, 0), LONGEST_RESEND_DOUBLINGS)
