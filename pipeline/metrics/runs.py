"""Runs and their work: those under way, and when each kind of run last started, succeeded and ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Max, Min, Q

from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus, Trigger


def read(_now: datetime) -> Iterator[Sample]:
    """Figures of all runs."""
    yield from _open()
    yield from _last()
    yield from _work()


def _open() -> Iterator[Sample]:
    running = Run.objects.filter(status=RunStatus.RUNNING)
    counts = dict(running.values_list("trigger").annotate(Count("pk")).order_by())
    for trigger in Trigger.values:
        yield sample("runs_open", counts.get(trigger, 0), trigger=trigger)
    if oldest := running.order_by("pk").first():
        yield from instant("run_open_oldest_progress_timestamp_seconds", _progress(oldest))


def _progress(run: Run) -> datetime:
    """The newest sign of life of a run: its own, that of a partition, the end of one, the close of a week."""
    signs = run.partitions.aggregate(Max("heartbeat_at"), Max("finished_at")) | run.weeks.aggregate(Max("closed_at"))
    known: list[datetime] = [sign for sign in signs.values() if sign]
    return max(run.created_at, run.heartbeat_at, *known)


def _last() -> Iterator[Sample]:
    succeeded, ended = Q(status=RunStatus.SUCCEEDED), ~Q(status=RunStatus.RUNNING)
    kinds = Run.objects.values("trigger", "command").order_by("trigger", "command")
    for found in kinds.annotate(
        start=Max("created_at"),
        success=Max("finished_at", filter=succeeded),
        finish=Max("finished_at"),
        newest=Max("pk", filter=ended),
    ):
        kind = {"trigger": found["trigger"], "command": found["command"]}
        yield from instant("run_last_start_timestamp_seconds", found["start"], **kind)
        yield from instant("run_last_success_timestamp_seconds", found["success"], **kind)
        yield from instant("run_last_finish_timestamp_seconds", found["finish"], **kind)
        yield from _duration(found["newest"], kind)


def _duration(pk: int | None, kind: dict[str, str]) -> Iterator[Sample]:
    run = Run.objects.filter(pk=pk or 0).first()
    if run is not None and run.finished_at is not None:
        yield sample("run_last_duration_seconds", (run.finished_at - run.created_at).total_seconds(), **kind)


def _work() -> Iterator[Sample]:
    open_ = RunPartition.objects.filter(run__status=RunStatus.RUNNING)
    pending = Q(status=PartitionStatus.PENDING)
    found = open_.aggregate(
        pending=Count("pk", filter=pending & Q(retry_at__isnull=True)),
        retrying=Count("pk", filter=pending & Q(retry_at__isnull=False)),
        running=Count("pk", filter=Q(status=PartitionStatus.RUNNING)),
        oldest=Min("queued_at", filter=pending & Q(retry_at__isnull=True)),
    )
    for status in ("pending", "running", "retrying"):
        yield sample("work_partitions", found[status], status=status)
    yield from instant("work_oldest_pending_timestamp_seconds", found["oldest"])
