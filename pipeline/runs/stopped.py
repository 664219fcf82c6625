"""Runs that stopped before their end, and what they left that no later run has done."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q

from pipeline.finra.calendar import market_today
from pipeline.finra.sources import REGISTRY
from pipeline.models import Outcome, PartitionStatus, Run, RunPartition, RunStatus, RunWeek
from pipeline.runs.liveness import is_dead
from pipeline.runs.request import Request


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that stopped, with the numbers of its partitions and weeks that are left."""

    run: Run
    partitions: int
    weeks: int

    @property
    def what(self) -> str:
        """ "stopped before its end: 45 partitions are left", and why it cannot be resumed, where it cannot."""
        if self.partitions:
            left = f"{_counted(self.partitions, 'partition')} left"
        else:
            left = f"{_counted(self.weeks, 'week')} left to close"
        return "; ".join(filter(None, (f"stopped before its end: {left}", self.hindrance)))

    @property
    def hindrance(self) -> str:
        """Why it cannot be resumed; empty where it can."""
        return hindrance(self.run)


def has_stopped(run: Run) -> bool:
    """Whether a run was interrupted, or its process has died."""
    return run.status == RunStatus.INTERRUPTED or is_dead(run)


def hindrance(run: Run) -> str:
    """Why a run that stopped cannot be resumed; empty where it can."""
    request = Request.from_parameters(run.parameters)
    if request.source not in REGISTRY:
        return "it reads a file that somebody named: give the same command again, with that file, or cancel the run"
    if request.force and run.run_date != market_today():
        return "it was ordered by force, for that day only: force its partitions again, and cancel the run"
    return ""


def stopped() -> list[Stopped]:
    """The runs that stopped and have left something, the oldest first. Three queries at most."""
    of_a_process = Q(status=RunStatus.RUNNING) & ~Q(worker="")
    found = Run.objects.filter(Q(status=RunStatus.INTERRUPTED) | of_a_process).order_by("pk")
    runs = [run for run in found if has_stopped(run)]
    if not runs:
        return []
    partitions, weeks = _partitions_left(runs), _weeks_left(runs)
    left = [Stopped(run, partitions.get(run.pk, 0), weeks.get(run.pk, 0)) for run in runs]
    return [one for one in left if one.partitions or one.weeks]


def _partitions_left(runs: list[Run]) -> dict[int, int]:
    """How many partitions of each run are undone, and were not done in a later one."""
    later = RunPartition.objects.filter(
        partition=OuterRef("partition"), run__gt=OuterRef("run"), status=PartitionStatus.DONE
    ).exclude(outcome=Outcome.CANCELLED)
    undone = RunPartition.objects.filter(~Exists(later), run__in=runs).exclude(status=PartitionStatus.DONE)
    return dict(undone.values_list("run").annotate(Count("pk")).order_by())


def _weeks_left(runs: list[Run]) -> dict[int, int]:
    """How many weeks of each run are open, and were not closed in a later one."""
    later = RunWeek.objects.filter(
        week_ending=OuterRef("week_ending"), run__gt=OuterRef("run"), closed_at__isnull=False
    )
    open_ = RunWeek.objects.filter(~Exists(later), run__in=runs, closed_at__isnull=True)
    return dict(open_.values_list("run").annotate(Count("pk")).order_by())


def _counted(number: int, what: str) -> str:
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"
