"""The cost of a plan at FINRA's API, before it starts: requests, and the time that they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.conf import settings
from django.db.models import Avg

from pipeline.finra.calendar import Tier
from pipeline.finra.sources.api.access import NAME
from pipeline.finra.sources.api.queries import MOST_ROWS
from pipeline.finra.sources.api.rate import HEADROOM
from pipeline.models import FETCHING, Action, Capture, Outcome, RunPartition
from pipeline.runs.plan import Plan, Step

# Firm rows of a partition where none is captured yet: about 229,000 a week (finra.md, "Rows"), by the tiers' shares of all.
TYPICAL_ROWS = {Tier.NMS_TIER_1: 62_000, Tier.NMS_TIER_2: 146_000, Tier.OTC: 21_000}
TOTALS_SHARE = 0.1  # rows by symbol, beside those by symbol and firm
CUTS = 4  # each begins a new page
QUESTIONS = 3  # requests of a probe
# A public client took 47 s for 34 pages, one after another (finra.md, "Limits"). With several connections it is measured.
TYPICAL_PAGE_SECONDS = 1.4
CAPTURED = (Outcome.INGESTED, Outcome.RESTATED)
MEASURED, LEAST_PAGES = 100, 20  # partitions; fewer pages say little


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many requests a plan makes, and how long it takes.

    `page_seconds` is the time of a page: this ledger's own where it was `measured`, a typical one otherwise.
    """

    partitions: int
    requests: int
    time: timedelta
    page_seconds: float
    measured: bool

    def __str__(self) -> str:
        pace = (
            f"{self.page_seconds:.2g} s a page, {'as measured here' if self.measured else 'until it is measured here'}"
        )
        return f"{self.partitions:,} partitions: about {self.requests:,} requests to FINRA, {_in_words(self.time)} ({pace})"


def estimate(plan: Plan) -> Estimate | None:
    """The requests of a plan to FINRA and their time; None when it asks another source, or none.

    The time assumes a partition under way for each thread of this process, within the allowed rate of requests.
    """
    steps = [step for step in plan.steps if step.action in FETCHING]
    if plan.request.source != NAME or not steps:
        return None
    rows, measured = _rows(), _measured_page_seconds()
    page_seconds = TYPICAL_PAGE_SECONDS if measured is None else measured
    requests = sum(_requests(step, rows) for step in steps)
    at_the_rate = requests / (settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND * HEADROOM)
    seconds = max(at_the_rate, requests * page_seconds / settings.MARKETSPINE_THREADS)
    return Estimate(len(steps), requests, timedelta(seconds=seconds), page_seconds, measured is not None)


def _in_words(time: timedelta) -> str:
    """A duration in the unit that fits, rounded up: "40 seconds", "12 minutes", "3.2 hours"."""
    seconds = ceil(time.total_seconds())
    if seconds < 100:
        return f"{seconds} seconds"
    minutes = ceil(seconds / 60)
    return f"{minutes} minutes" if minutes < 100 else f"{ceil(minutes / 6) / 10:g} hours"


def _measured_page_seconds() -> float | None:
    """Seconds a page, from the claim of a partition to its commit, over the last ones captured from the API."""
    done = RunPartition.objects.filter(
        capture__source=NAME, outcome__in=CAPTURED, started_at__isnull=False, finished_at__isnull=False
    )
    newest = done.order_by("-pk").values_list("started_at", "finished_at", "capture__rows_in")[:MEASURED]
    times = [
        ((ended - began).total_seconds(), _pages(rows)) for began, ended, rows in newest if began and ended and rows
    ]
    pages = sum(number for _, number in times)
    return sum(seconds for seconds, _ in times) / pages if pages >= LEAST_PAGES else None


def _requests(step: Step, rows: dict[Tier, float]) -> int:
    return QUESTIONS if step.action is Action.PROBE else _pages(rows[step.key.tier])


def _pages(rows: float) -> int:
    """The pages of a partition with so many rows by symbol and firm."""
    return ceil(rows * (1 + TOTALS_SHARE) / MOST_ROWS) + CUTS


def _rows() -> dict[Tier, float]:
    """Rows of a partition of each tier: as captured so far, or as is typical."""
    captured: Iterable[tuple[str, float]] = (
        Capture.objects.filter(source=NAME).values_list("partition__tier").annotate(rows=Avg("rows_in")).order_by()
    )
    return TYPICAL_ROWS | {Tier(tier): rows for tier, rows in captured}
