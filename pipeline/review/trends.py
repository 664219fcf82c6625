"""Series over the weeks, from each week's newest snapshot: venue shares, concentrations, restated rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import F, Max, Sum

from pipeline.finra.calendar import WEEKS_OF_A_QUARTER, Tier, last_fridays, market_today
from pipeline.models import (
    ALL_TIERS,
    HHI_POINTS,
    AnalyticsSnapshot,
    Capture,
    Family,
    MarketConcentration,
    Run,
    RunStatus,
    VenueKind,
    VenueVolume,
)
from pipeline.weeks.analytics import CALCULATION_VERSION

TOP_VENUES = 10
RUNS = 30


@dataclass(frozen=True, slots=True)
class Series:
    """A value per week of `weeks` (oldest first) for each name; None where there is none."""

    weeks: list[date]
    values: dict[str, list[float | None]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value is not None for values in self.values.values() for value in values)


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a run took, in seconds, and how it ended."""

    run_id: int
    status: str
    seconds: float


def last_weeks(today: date | None = None) -> list[date]:
    """The last quarter, oldest first."""
    return sorted(last_fridays(WEEKS_OF_A_QUARTER, today or market_today()))


def newest_snapshots(weeks: Collection[date]) -> dict[int, date]:
    """The week of each newest snapshot, by the snapshot's id."""
    computed = AnalyticsSnapshot.objects.filter(week_ending__in=weeks, calculation_version=CALCULATION_VERSION)
    newest = computed.values("week_ending").annotate(newest=Max("sequence")).values_list("week_ending", "newest")
    wanted = dict(newest)
    named = AnalyticsSnapshot.objects.filter(week_ending__in=weeks).values_list("pk", "week_ending", "sequence")
    return {pk: week for pk, week, sequence in named if wanted.get(week) == sequence}


def venue_shares(weeks: Sequence[date], snapshots: dict[int, date]) -> Series:
    """The share (0-1) of the ten largest ATS in the week's ATS volume over all tiers, and that of all others."""
    volumes = VenueVolume.objects.filter(snapshot__in=snapshots, scope=ALL_TIERS, venue_kind=VenueKind.ATS)
    shares: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for snapshot, mpid, share in volumes.values_list("snapshot", "mpid", "share"):  # an MPID may have two CRD numbers
        if share is not None:
            shares[mpid][snapshots[snapshot]] += share
    top = sorted(shares, key=lambda mpid: (-sum(shares[mpid].values()), mpid))[:TOP_VENUES]
    values: dict[str, list[float | None]] = {mpid: [shares[mpid].get(week) for week in weeks] for mpid in top}
    if len(shares) > TOP_VENUES:
        computed = {week for of_week in shares.values() for week in of_week}
        rest = {mpid: of_week for mpid, of_week in shares.items() if mpid not in top}
        values["others"] = [
            sum(of_week.get(week, 0.0) for of_week in rest.values()) if week in computed else None for week in weeks
        ]
    return Series(list(weeks), values)


def concentrations(weeks: Sequence[date], snapshots: dict[int, date]) -> Series:
    """The HHI of the ATS volume of each tier, in points; where it is an interval, its lower end."""
    of_tiers = MarketConcentration.objects.filter(snapshot__in=snapshots, family=Family.ATS, scope__in=list(Tier))
    found = {
        (scope, snapshots[snapshot]): hhi * HHI_POINTS
        for snapshot, scope, hhi in of_tiers.values_list("snapshot", "scope", "hhi_low")
        if hhi is not None
    }
    return Series(list(weeks), {tier: [found.get((tier, week)) for week in weeks] for tier in Tier})


def rows_held(weeks: Sequence[date]) -> Series:
    """The rows held of each week, and how many of its rows restatements have touched since the first capture."""
    captured = Capture.objects.filter(partition__week_ending__in=weeks)
    latest = captured.filter(partition__latest=F("pk")).values_list("partition__week_ending")
    held = dict(latest.annotate(rows=Sum("rows_kept")).order_by())
    later = captured.filter(version__gt=1, normalized_at__isnull=False).values_list("partition__week_ending")
    touched = dict(later.annotate(rows=Sum(F("rows_added") + F("rows_changed") + F("rows_removed"))).order_by())
    return Series(
        list(weeks),
        {
            "rows held": [held.get(week) for week in weeks],
            "rows restated": [touched.get(week, 0) if week in held else None for week in weeks],
        },
    )


def run_times() -> list[RunTime]:
    """The last 30 runs that have ended, oldest first."""
    ended = Run.objects.filter(finished_at__isnull=False).exclude(status=RunStatus.CANCELLED).order_by("-pk")[:RUNS]
    times = (
        RunTime(run.pk, run.status, (run.finished_at - run.created_at).total_seconds())
        for run in ended
        if run.finished_at
    )
    return sorted(times, key=lambda time: time.run_id)
