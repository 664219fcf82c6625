"""One week's calculations: venue volume, venue share and rank, and the concentration of each symbol and of the market.

Conventions (finra.md, "Analytics conventions"): `share = shares / sum(shares)` of off-exchange volume, within a tier or over
all tiers, within ATS or non-ATS or over both; HHI is the sum of squared shares on 0-1. Results over all tiers exist only
when all tiers are captured, results over both kinds only where both are. Sums are exact; a snapshot is computed from the
versions that it names, whatever is restated meanwhile.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from pipeline import row_versions as vintages
from pipeline import weekly_totals
from pipeline.calendar import Tier
from pipeline.models import (
    ALL_TIERS,
    AnalyticsSnapshot,
    Calculation,
    Capture,
    Family,
    Manifest,
    MarketConcentration,
    Partition,
    Run,
    Stage,
    VenueKind,
    VenueVolume,
)
from pipeline.weekly_totals import Total

CALCULATION_VERSION = 1


@dataclass(frozen=True, slots=True)
class Calculated:
    """What became of a week's analytics, and why."""

    outcome: Calculation
    reason: str
    snapshot: AnalyticsSnapshot | None = None


def inputs_of(week_ending: date) -> list[Capture]:
    """The newest normalized capture of each tier of a week."""
    latest = Capture.objects.filter(partition__week_ending=week_ending, pk=F("partition__latest"))
    return list(latest.select_related("partition").order_by("partition__tier"))


def newest_snapshot(week_ending: date) -> AnalyticsSnapshot | None:
    """The snapshot of the week's newest captures; while there is none, the one computed last."""
    inputs = inputs_of(week_ending)
    return (_snapshot_of(week_ending, inputs) if inputs else None) or _last_snapshot(week_ending)


def _last_snapshot(week_ending: date) -> AnalyticsSnapshot | None:
    return AnalyticsSnapshot.objects.filter(week_ending=week_ending).order_by("-sequence").first()


def is_current(snapshot: AnalyticsSnapshot | None, week_ending: date) -> bool:
    """Whether a snapshot was computed from what the week's partitions hold now, by this version of the calculation."""
    return (
        snapshot is not None
        and snapshot.calculation_version == CALCULATION_VERSION
        and snapshot.inputs_hash == _inputs_hash(inputs_of(week_ending))
    )


@transaction.atomic
def calculate_week(week_ending: date, run: Run | None = None) -> Calculated:
    """Compute the week from its newest captures, unless that was done already.

    Under the locks of its partitions: of two processes one computes, and no snapshot of older captures follows one of
    newer captures, by which the week would be judged from then on.
    """
    Partition.objects.lock_week(week_ending)
    inputs = inputs_of(week_ending)
    if not inputs:
        return Calculated(Calculation.SKIPPED, "nothing of the week is captured")
    existing = _snapshot_of(week_ending, inputs)
    if existing is not None:
        return Calculated(Calculation.UNCHANGED, "computed from the same captures already", existing)
    snapshot = _compute(week_ending, inputs, run)
    return Calculated(Calculation.COMPUTED, f"from {', '.join(capture.capture_id for capture in inputs)}", snapshot)


def _snapshot_of(week_ending: date, inputs: list[Capture]) -> AnalyticsSnapshot | None:
    return AnalyticsSnapshot.objects.filter(
        week_ending=week_ending, inputs_hash=_inputs_hash(inputs), calculation_version=CALCULATION_VERSION
    ).first()


def _inputs_hash(inputs: list[Capture]) -> str:
    return hashlib.sha256("\n".join(sorted(capture.capture_id for capture in inputs)).encode()).hexdigest()


def _compute(week_ending: date, inputs: list[Capture], run: Run | None) -> AnalyticsSnapshot:
    started = time.monotonic()
    newest = AnalyticsSnapshot.objects.filter(week_ending=week_ending).aggregate(newest=Max("sequence"))["newest"]
    snapshot = AnalyticsSnapshot.objects.create(
        week_ending=week_ending,
        sequence=(newest or 0) + 1,
        calculation_version=CALCULATION_VERSION,
        inputs_hash=_inputs_hash(inputs),
        computed_at=timezone.now(),
    )
    snapshot.inputs.set(inputs)
    scopes = _scopes(inputs)
    with weekly_totals.totals_by_security(inputs, cross_tier=ALL_TIERS in scopes):
        for scope, captures in scopes.items():
            _store_scope(snapshot, scope, captures)
    _add_manifest(snapshot, inputs, started, run)
    return snapshot


def _scopes(inputs: list[Capture]) -> dict[str, list[Capture]]:
    """Each tier, and all of them together when all are captured."""
    scopes = {str(capture.partition.tier): [capture] for capture in inputs}
    return {**scopes, ALL_TIERS: inputs} if len(inputs) == len(Tier) else scopes


def _store_scope(snapshot: AnalyticsSnapshot, scope: str, captures: list[Capture]) -> None:
    """The results within one tier, or over all tiers: of each kind that every tier has, and of both."""
    totals = weekly_totals.totals_by_venue(captures)
    families = {
        Family(kind.value): [total for total in totals if total.kind == kind]
        for kind in VenueKind
        if all(_has_kind(capture, kind) for capture in captures)
    }
    if len(families) == len(VenueKind):
        families[Family.ALL] = totals
    VenueVolume.objects.bulk_create(_venue_volumes(snapshot, scope, families), batch_size=1000)
    for family, members in families.items():
        symbols = weekly_totals.store_symbol_concentrations(snapshot, scope, family)
        _market(snapshot, scope, family, members, symbols).save()


def _has_kind(capture: Capture, kind: VenueKind) -> bool:
    return vintages.of_capture(capture).filter(venue__kind=kind).exists()


def _venue_volumes(snapshot: AnalyticsSnapshot, scope: str, families: dict[Family, list[Total]]) -> list[VenueVolume]:
    over_all = _shares_and_ranks(families.get(Family.ALL, []))
    volumes = []
    for family in (family for family in families if family is not Family.ALL):
        within = _shares_and_ranks(families[family])
        for total in families[family]:
            share, rank = within[total.venue_id]
            share_of_all, rank_of_all = over_all.get(total.venue_id, (None, None))
            volumes.append(
                VenueVolume(
                    snapshot=snapshot,
                    scope=scope,
                    venue_id=total.venue_id,
                    shares=total.shares,
                    trades=total.trades,
                    symbols=total.symbols,
                    notional=total.notional,
                    average_trade_size=float(total.shares / total.trades) if total.trades else None,
                    share=share,
                    rank=rank,
                    share_of_all=share_of_all,
                    rank_of_all=rank_of_all,
                )
            )
    return volumes


def _shares_and_ranks(totals: list[Total]) -> dict[int, tuple[float | None, int]]:
    """Share (0-1; None without volume) and rank by shares (equal volumes share a rank) of each venue."""
    volume = sum((total.shares for total in totals), Decimal(0))
    ordered = sorted((total.shares for total in totals), reverse=True)
    rank_of = {shares: ordered.index(shares) + 1 for shares in set(ordered)}
    return {
        total.venue_id: (float(total.shares / volume) if volume else None, rank_of[total.shares]) for total in totals
    }


def _market(
    snapshot: AnalyticsSnapshot, scope: str, family: Family, totals: list[Total], symbols: int
) -> MarketConcentration:
    volume = sum((total.shares for total in totals), Decimal(0))
    named = sum((total.shares**2 for total in totals if not total.is_pool), Decimal(0))
    pooled = sum((total.shares**2 for total in totals if total.is_pool), Decimal(0))
    return MarketConcentration(
        snapshot=snapshot,
        scope=scope,
        family=family,
        shares=volume,
        trades=sum(total.trades for total in totals),
        venues=len(totals),
        symbols=symbols,
        hhi_low=float(named / volume**2) if volume else None,
        hhi_high=float((named + pooled) / volume**2) if volume else None,
    )


def _add_manifest(snapshot: AnalyticsSnapshot, inputs: list[Capture], started: float, run: Run | None) -> None:
    rows = sum(capture.rows_kept for capture in inputs)
    Manifest.objects.create(
        snapshot=snapshot,
        stage=Stage.CALC,
        rows_in=rows,
        rows_kept=rows,
        rows_rejected=0,
        shares=sum((Decimal(capture.shares or 0) for capture in inputs), Decimal(0)),
        trades=sum(capture.trades for capture in inputs),
        checksum=snapshot.inputs_hash,
        duration=timedelta(seconds=time.monotonic() - started),
        completed_at=timezone.now(),
        run=run,
    )
