"""The history of partitions in runs: those in flight, and the last try of each."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from pipeline.finra.calendar import PartitionKey
from pipeline.models import (
    BAD_OUTCOMES,
    Action,
    Outcome,
    PartitionStatus,
    RunPartition,
    RunStatus,
)

PASSED_OVER = (Action.SKIP, Action.NOT_YET_DUE)
IDLE = (Action.NONE, *PASSED_OVER)


def in_flight(weeks: Collection[date]) -> dict[PartitionKey, int]:
    """The partitions of `weeks` that a run under way still has to do, with the run's number."""
    open_ = RunPartition.objects.filter(run__status=RunStatus.RUNNING, partition__week_ending__in=weeks)
    undone = open_.exclude(status=PartitionStatus.DONE).select_related("partition")
    return {step.partition.key: step.run_id for step in undone}


def last_tries(weeks: Collection[date]) -> dict[PartitionKey, RunPartition]:
    """The last try of each partition of `weeks`: runs that passed over it do not count.

    Nor does a re-read of an archived payload after a failed fetch: it does not mend the fetch.
    """
    tries: dict[PartitionKey, RunPartition] = {}
    done = RunPartition.objects.filter(partition__week_ending__in=weeks, status=PartitionStatus.DONE)
    worked = done.exclude(outcome=Outcome.CANCELLED).exclude(action__in=IDLE)
    for tried in worked.select_related("partition").order_by("pk"):
        before = tries.get(tried.partition.key)
        if before is None or tried.action != Action.NORMALIZE or not _fetch_failed(before):
            tries[tried.partition.key] = tried
    return tries


def _fetch_failed(tried: RunPartition) -> bool:
    return tried.action != Action.NORMALIZE and tried.outcome in BAD_OUTCOMES
