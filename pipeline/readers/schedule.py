"""How often partitions were looked at, by our own record: what a revision profile can have seen depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from django.conf import settings

from pipeline.finra.calendar import WEEK
from pipeline.readers.chains import Chain
from pipeline.readers.looks import age_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """The look-back now, and the days between two successful looks at a partition, as medians; null without two looks.

    Looks within the look-back, and later ones, which sweeps make. A change of either is a break in the series.
    """

    lookback_weeks: int
    days_between_looks: float | None
    days_between_later_looks: float | None


def schedule_of(chains: Iterable[Chain]) -> Schedule:
    """How often some partitions were looked at."""
    weeks = settings.MARKETSPINE_LOOKBACK_WEEKS
    young: list[float] = []
    old: list[float] = []
    for chain in chains:
        for before, after in pairwise(_days(chain.looks)):
            gap = (after - before).total_seconds() / 86_400
            (young if age_of(chain.key, after) <= weeks * WEEK.days else old).append(gap)
    return Schedule(weeks, _middle(young), _middle(old))


def _days(looks: Sequence[datetime]) -> list[datetime]:
    """The last look of each day: a run that is started again is no schedule."""
    return list({look.date(): look for look in looks}.values())


def _middle(gaps: Sequence[float]) -> float | None:
    return round(median(gaps), 1) if gaps else None
