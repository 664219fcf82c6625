"""The captured weeks around a week, and how much each holds: what it is compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal

from pipeline.capture.plausibility import Size, Sizes
from pipeline.finra.calendar import WEEKS_OF_A_QUARTER, Tier
from pipeline.finra.payloads import PartName
from pipeline.models import Capture

NEIGHBOURS = 8
AROUND = timedelta(weeks=WEEKS_OF_A_QUARTER)  # a market of years ago is no neighbour
# Each week that is closed compares up to 159 captures: all their columns take half as long again.
HOLDING = (
    "capture_id",
    "version",
    "rows_kept",
    "rows_non_ats",
    "shares",
    "shares_non_ats",
    "trades",
    "pruned_at",
    "partition",
)


def sizes_of(capture: Capture) -> Sizes:
    """How much of each kind a capture holds."""
    shares, non_ats = Decimal(capture.shares or 0), Decimal(capture.shares_non_ats or 0)
    found = {
        PartName.ATS: Size(capture.rows_kept - capture.rows_non_ats, shares - non_ats),
        PartName.NON_ATS: Size(capture.rows_non_ats, non_ats),
    }
    return {part: size for part, size in found.items() if size.rows}


def captured_around(week_ending: date, reach: timedelta, *tiers: Tier) -> dict[Tier, dict[date, Capture]]:
    """Of some tiers the captured partitions near a week, itself included, by their weeks: what they hold. One query."""
    weeks = (week_ending - reach, week_ending + reach)
    newest = Capture.objects.newest().filter(partition__tier__in=tiers, partition__week_ending__range=weeks)
    found: dict[Tier, dict[date, Capture]] = {tier: {} for tier in tiers}
    for capture in newest.select_related("partition").only(*HOLDING):
        found[Tier(capture.partition.tier)][capture.partition.week_ending] = capture
    return found


def neighbours(week_ending: date, captured: Mapping[date, Capture]) -> dict[date, Sizes]:
    """How much each of the nearest captured weeks holds."""
    return {week: sizes_of(captured[week]) for week in nearest(week_ending, captured)}


def nearest(week_ending: date, captured: Collection[date]) -> list[date]:
    """The captured weeks that are nearest to a week, the nearest first: at most eight, within a quarter."""
    near = [week for week in captured if week != week_ending and abs(week - week_ending) <= AROUND]
    return sorted(near, key=lambda week: (abs(week - week_ending), week))[:NEIGHBOURS]
