"""The progress of a run, shown live on its page, and counted from its rows in the ledger, whichever engine works on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, When
from django.utils import timezone

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.market_links import week_link
from pipeline.models import BAD_OUTCOMES, Outcome, PartitionStatus, Run, RunPartition, RunStatus, RunWeek
from pipeline.runs.history import PASSED_OVER

PER_PAGE = 100
WEEKS_SHOWN = 60
OUTCOMES = (
    *BAD_OUTCOMES,
    Outcome.INGESTED,
    Outcome.RESTATED,
    Outcome.FORCED,
    Outcome.UNCHANGED,
    Outcome.NOT_OFFERED,
    Outcome.NOT_YET_DUE,
    Outcome.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class StepLine:
    """One partition of a run."""

    step: RunPartition

    @property
    def partition(self) -> str:
        return link(self.step.partition)

    @property
    def planned(self) -> str:
        """The planned action."""
        return _word(self.step.action)

    @property
    def came(self) -> str:
        """The outcome, or where it stands."""
        return badge(self.step.outcome or self.step.status)

    @property
    def reason(self) -> str:
        """The reason for the outcome, or the time of the next try."""
        return self.step.reason or (f"next try at {self.step.retry_at:%H:%M:%S}" if self.step.retry_at else "")

    @property
    def capture(self) -> str:
        return link(self.step.capture, f"version {self.step.capture.version}") if self.step.capture else ""

    @property
    def timings(self) -> tuple[str, ...]:
        """How long it waited, fetched, parsed, stored, and took in all, as far as it got."""
        one = self.step
        return (
            figures.between(one.queued_at, one.started_at),
            figures.between(one.started_at, one.fetched_at),
            figures.between(one.fetched_at or one.started_at, one.parsed_at),
            figures.between(one.parsed_at, one.stored_at),
            figures.between(one.started_at, one.finished_at),
        )


@dataclass(frozen=True, slots=True)
class WeekLine:
    """The result of a week's calculation in a run."""

    week: RunWeek

    @property
    def name(self) -> str:
        """The week, with a link to its verdicts."""
        return week_link(self.week.week_ending)

    @property
    def came(self) -> str:
        """The result of the calculation; `waits` until the week is closed."""
        return badge(self.week.calculation or "PENDING", "" if self.week.calculation else "open")


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come."""

    run: Run
    counts: dict[str, int]
    weeks: int
    closed: int

    @property
    def under_way(self) -> bool:
        """Whether it will still change by itself."""
        return self.run.status == RunStatus.RUNNING

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Partitions that have an outcome."""
        return sum(count for word, count in self.counts.items() if word in Outcome.values)

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100

    @property
    def state(self) -> str:
        return badge(self.run.status)

    @property
    def took(self) -> str:
        """From its start to its end, or until now."""
        return duration(self.run)

    @property
    def sentence(self) -> str:
        """A sentence for screen readers: "Run 7 is running: 3 of 18 partitions done, 1 of 6 weeks closed."."""
        state = f"Run {self.run.pk} is {self.run.status.lower()}"
        return (
            f"{state}: {self.done:,} of {self.total:,} partitions done, {self.closed:,} of {self.weeks:,} weeks closed."
        )

    @property
    def outcomes(self) -> list[str]:
        """The counts as badges, failures first."""
        return outcome_badges(self.counts)


def progress_of(run: Run) -> RunProgress:
    """The progress of a run. Two queries over its rows."""
    weeks = run.weeks.aggregate(all=Count("pk"), closed=Count("closed_at"))
    return RunProgress(run, counts_of([run.pk]).get(run.pk, {}), weeks["all"], weeks["closed"])


def counts_of(runs: list[int]) -> dict[int, dict[str, int]]:
    """The numbers of each run's partitions by outcome, or by status before they have one. One query."""
    rows = RunPartition.objects.filter(run__in=runs).order_by().values_list("run", "status", "outcome")
    found: dict[int, dict[str, int]] = {}
    for run, status, outcome, count in rows.annotate(count=Count("pk")):
        found.setdefault(run, {})[outcome or status] = count
    return found


def outcome_badges(counts: dict[str, int]) -> list[str]:
    """Counts by outcome as badges: failures first, then successes, then unfinished partitions."""
    words = (*OUTCOMES, PartitionStatus.RUNNING, PartitionStatus.PENDING)
    return [badge(word, f"{counts[word]:,} {_word(word)}") for word in words if counts.get(word)]


def duration(run: Run, now: datetime | None = None) -> str:
    """How long a run took, or has taken until now."""
    return figures.between(run.created_at, run.finished_at or now or timezone.now())


def live(run: Run, page: str | None) -> dict[str, Any]:
    """The context of the part that changes while a run is under way. Five queries, whatever its size."""
    return {
        "progress": progress_of(run),
        "steps": _steps(run, page),
        "weeks": [WeekLine(week) for week in run.weeks.order_by("-week_ending")[:WEEKS_SHOWN]],
        "weeks_shown": WEEKS_SHOWN,
    }


def _steps(run: Run, page: str | None) -> Page[Any]:
    """A page of the partitions: failures first, those passed over last, newest week first."""
    place = Case(When(outcome__in=BAD_OUTCOMES, then=0), When(action__in=PASSED_OVER, then=2), default=1)
    steps = run.partitions.select_related("partition", "capture")
    ordered = steps.order_by(place, "-partition__week_ending", "partition__tier")
    found: Page[Any] = Paginator(ordered, PER_PAGE).get_page(page)
    found.object_list = [StepLine(step) for step in found.object_list]
    return found


def _word(word: str) -> str:
    return word.replace("_", " ").lower()
