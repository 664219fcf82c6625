"""The impact of a restatement: venue shares and market concentration, before it and with it.

Compared are the first analytics snapshot that was computed from the capture, and the one computed before it of the same
week. Another tier may have been restated between the two as well: then figures over all tiers moved by both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.models import (
    ALL_TIERS,
    AnalyticsSnapshot,
    Capture,
    Family,
    MarketConcentration,
    VenueKind,
    VenueVolume,
)


class NothingToCompare(Exception):
    """There are no two snapshots to compare; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Venue:
    """An ATS, which its MPID and CRD number identify, or a firm, which its CRD number and name do.

    The name of an ATS varies between FINRA's outputs: `firm` is empty there.
    """

    kind: VenueKind
    mpid: str
    firm: str
    crd: str


@dataclass(frozen=True, slots=True)
class VenueMove:
    """A venue of the tier: its volume before and after, None where it had none; `name` as the newer of the two has it."""

    venue: Venue
    name: str
    before: VenueVolume | None
    after: VenueVolume | None

    @property
    def share_change(self) -> float:
        """By how much its share (0-1, within its own kind) changed."""
        return _share(self.after) - _share(self.before)


@dataclass(frozen=True, slots=True)
class ConcentrationMove:
    """The market's concentration within a scope and family, None where it was not computed."""

    scope: str
    family: str
    before: MarketConcentration | None
    after: MarketConcentration | None


@dataclass(frozen=True, slots=True)
class InputChange:
    """A tier that another capture was taken of: None where the tier was not captured."""

    tier: str
    before: Capture | None
    after: Capture | None


@dataclass(frozen=True, slots=True)
class Movement:
    """Two snapshots of a week and what lies between them; `venues` of the capture's tier that moved, most first."""

    before: AnalyticsSnapshot
    after: AnalyticsSnapshot
    inputs: list[InputChange]
    venues: list[VenueMove]
    concentrations: list[ConcentrationMove]


def movement_of(capture: Capture) -> Movement:
    """The impact of a capture. NothingToCompare when no snapshot has it, or none was computed before. Seven queries."""
    after = capture.snapshots.order_by("sequence").first()
    if after is None:
        raise NothingToCompare(_why_no_snapshot(capture))
    before = _snapshot_before(after)
    inputs = _inputs_changed(before, after)
    own = next((change for change in inputs if change.tier == capture.partition.tier), None)
    if own is None or own.before is None:
        raise NothingToCompare(
            f"{before} was computed without {capture.partition.tier}: this capture is the first that a figure of the "
            "tier was computed from, and moved none."
        )
    return Movement(
        before,
        after,
        inputs,
        _venue_moves(before, after, capture.partition.tier),
        _concentrations(before, after, capture.partition.tier),
    )


def _why_no_snapshot(capture: Capture) -> str:
    if capture.normalized_at is None:
        return "Its rows are not stored: nothing was computed from it."
    if capture.partition.latest_id != capture.pk:
        return "A newer version replaced it before the week was computed: no analytics snapshot was made from it."
    return "The week has not been computed since it was captured. Recompute its analytics to see what it moves."


def _snapshot_before(after: AnalyticsSnapshot) -> AnalyticsSnapshot:
    earlier = AnalyticsSnapshot.objects.filter(week_ending=after.week_ending, sequence__lt=after.sequence)
    before = earlier.order_by("-sequence").first()
    if before is None:
        raise NothingToCompare(f"{after} is the first of its week: no figure stood before this capture.")
    return before


def _inputs_changed(before: AnalyticsSnapshot, after: AnalyticsSnapshot) -> list[InputChange]:
    """The tiers whose captures differ between two snapshots."""
    were, are = _inputs_by_tier(before), _inputs_by_tier(after)
    tiers = sorted(were.keys() | are.keys())
    changes = (InputChange(tier, were.get(tier), are.get(tier)) for tier in tiers)
    return [change for change in changes if change.before != change.after]


def _inputs_by_tier(snapshot: AnalyticsSnapshot) -> dict[str, Capture]:
    return {capture.partition.tier: capture for capture in snapshot.inputs.select_related("partition")}


def _venue_moves(before: AnalyticsSnapshot, after: AnalyticsSnapshot, tier: str) -> list[VenueMove]:
    """The venues whose volume or trades changed within a tier, by how much their shares moved."""
    were, are = _volumes(before, tier), _volumes(after, tier)
    moves = (_venue_move(venue, were.get(venue), are.get(venue)) for venue in were.keys() | are.keys())
    return sorted((move for move in moves if _has_moved(move)), key=lambda move: (-abs(move.share_change), move.venue))


def _volumes(snapshot: AnalyticsSnapshot, tier: str) -> dict[Venue, VenueVolume]:
    return {
        _venue_of(volume): volume for volume in VenueVolume.objects.filter(snapshot=snapshot, scope=tier).order_by()
    }


def _venue_of(volume: VenueVolume) -> Venue:
    firm = "" if volume.venue_kind == VenueKind.ATS else volume.venue_name
    return Venue(VenueKind(volume.venue_kind), volume.mpid, firm, volume.crd)


def _venue_move(venue: Venue, before: VenueVolume | None, after: VenueVolume | None) -> VenueMove:
    newer = after or before
    return VenueMove(venue, newer.venue_name if newer else "", before, after)


def _has_moved(move: VenueMove) -> bool:
    if move.before is None or move.after is None:
        return True
    before, after = move.before, move.after
    return (before.shares, before.share, before.trades) != (after.shares, after.share, after.trades)


def _concentrations(before: AnalyticsSnapshot, after: AnalyticsSnapshot, tier: str) -> list[ConcentrationMove]:
    """The market's concentration within the tier and over all tiers, in each family that either snapshot has."""
    found = MarketConcentration.objects.filter(snapshot__in=[before, after], scope__in=[tier, ALL_TIERS]).order_by()
    sides = {(one.scope, one.family, one.snapshot_id): one for one in found}
    return [
        ConcentrationMove(scope, family, sides.get((scope, family, before.pk)), sides.get((scope, family, after.pk)))
        for scope, family in _in_order((scope, family) for scope, family, _ in sides)
    ]


def _in_order(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The tier, then all tiers; ATS, non-ATS, both."""
    return sorted(set(pairs), key=lambda pair: (pair[0] == ALL_TIERS, pair[0], Family.values.index(pair[1])))


def _share(volume: VenueVolume | None) -> float:
    return (volume.share or 0.0) if volume else 0.0
