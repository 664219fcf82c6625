"""What a plan will cost at FINRA's API, before it starts: requests, and the time that the rate gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.conf import settings
from django.db.models import Avg

from pipeline.calendar import Tier
from pipeline.models import Action, Capture
from pipeline.planning import Plan, Step
from pipeline.sources.finra_api.access import NAME
from pipeline.sources.finra_api.pace import HEADROOM
from pipeline.sources.finra_api.questions import MOST_ROWS

# Firm rows of a partition where none is captured yet: about 229,000 a week (finra.md, "Rows"), by the tiers' shares of all.
TYPICAL_ROWS = {Tier.NMS_TIER_1: 62_000, Tier.NMS_TIER_2: 146_000, Tier.OTC: 21_000}
TOTALS_SHARE = 0.1  # rows by symbol, beside those by symbol and firm
CUTS = 4  # each begins a page of its own
QUESTIONS = 4  # whether a partition moved
FETCHING = (Action.INGEST, Action.ARCHIVE)


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many requests, and how long they take at the configured rate, parsing and storing apart."""

    partitions: int
    requests: int
    time: timedelta

    def __str__(self) -> str:
        seconds = ceil(self.time.total_seconds())
        told = f"{seconds} seconds" if seconds < 100 else f"{ceil(seconds / 60)} minutes"
        rate = settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND
        return (
            f"{self.partitions:,} partitions: about {self.requests:,} requests to FINRA, {told} at {rate} a second "
            "(reading and storing may take longer)"
        )


def estimate(plan: Plan) -> Estimate | None:
    """What a plan asks of FINRA; None when it asks another source, or nothing."""
    steps = [step for step in plan.steps if step.action in (*FETCHING, Action.LOOK)]
    if plan.request.source != NAME or not steps:
        return None
    rows = _rows()
    requests = sum(_requests(step, rows) for step in steps)
    rate = settings.MARKETSPINE_FINRA_REQUESTS_PER_SECOND * HEADROOM
    return Estimate(len(steps), requests, timedelta(seconds=requests / rate))


def _requests(step: Step, rows: dict[Tier, float]) -> int:
    if step.action is Action.LOOK:
        return QUESTIONS
    return ceil(rows[step.key.tier] * (1 + TOTALS_SHARE) / MOST_ROWS) + CUTS


def _rows() -> dict[Tier, float]:
    """Rows of a partition of each tier: as captured so far, or as is typical."""
    captured: Iterable[tuple[str, float]] = (
        Capture.objects.filter(source=NAME).values_list("partition__tier").annotate(rows=Avg("rows_in")).order_by()
    )
    return TYPICAL_ROWS | {Tier(tier): rows for tier, rows in captured}
