"""One week's analytics: a snapshot of figures from its newest captures, computed once for the same captures.

A snapshot is computed from the vintage files of the captures that it names, even if one is restated meanwhile.
`pipeline.weeks.concentration` computes the figures.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import AnalyticsSnapshot, Calculation, Capture, Manifest, Partition, Run, Stage
from pipeline.vintages import file_checks, read, store
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import results, revisions, symbols
from pipeline.weeks.concentration import Figures, figures_of

CALCULATION_VERSION = 1


@dataclass(frozen=True, slots=True)
class Calculated:
    """The result of a week's calculation, and the reason."""

    outcome: Calculation
    reason: str
    snapshot: AnalyticsSnapshot | None = None


@dataclass(frozen=True, slots=True)
class AsOf:
    """A week's figures at an instant, the captures that were newest then, and their snapshot, if there is one."""

    captures: list[Capture]
    snapshot: AnalyticsSnapshot | None
    figures: Figures


def inputs_of(week_ending: date) -> list[Capture]:
    """The newest normalized capture of each tier of a week."""
    latest = Capture.objects.filter(partition__week_ending=week_ending, pk=F("partition__latest"))
    return list(latest.select_related("partition").order_by("partition__tier"))


def newest_snapshot(week_ending: date, captures: Sequence[Capture] | None = None) -> AnalyticsSnapshot | None:
    """The snapshot of the week's newest captures (`captures`, if known already); while there is none, the last computed."""
    inputs = inputs_of(week_ending) if captures is None else captures
    return (_snapshot_of(week_ending, inputs) if inputs else None) or _last_snapshot(week_ending)


def _last_snapshot(week_ending: date) -> AnalyticsSnapshot | None:
    return AnalyticsSnapshot.objects.filter(week_ending=week_ending).order_by("-sequence").first()


def is_current(snapshot: AnalyticsSnapshot | None, inputs: Sequence[Capture]) -> bool:
    """Whether a snapshot was computed from these captures, by this version of the calculation."""
    return (
        snapshot is not None
        and snapshot.calculation_version == CALCULATION_VERSION
        and snapshot.inputs_hash == _inputs_hash(inputs)
    )


@checkpoints("week.calculate")
def calculate_week(week_ending: date, run: Run | None = None) -> Calculated:
    """Compute the week from its newest captures, unless that was done already.

    The partitions are locked to choose the captures and again to save the figures, but not in between. Of two processes one
    saves. A snapshot is saved only while its captures are still the newest: else the week would be judged by older ones.
    """
    while True:
        started, inputs = time.monotonic(), _inputs_now(week_ending)
        revisions.measure_week(week_ending)
        if not inputs:
            return Calculated(Calculation.SKIPPED, "nothing of the week is captured")
        existing = _snapshot_of(week_ending, inputs)
        if existing is not None:
            mended = "; the lost file of its symbols was made again" if _mend(existing) else ""
            return Calculated(Calculation.UNCHANGED, f"computed from the same captures already{mended}", existing)
        snapshot = _save(week_ending, inputs, _figures(inputs), started, run)
        if snapshot is not None:
            return Calculated(Calculation.COMPUTED, f"from {', '.join(one.capture_id for one in inputs)}", snapshot)


@transaction.atomic
def _inputs_now(week_ending: date) -> list[Capture]:
    """The week's inputs once no process stores a capture of it."""
    Partition.objects.lock_week(week_ending)
    return inputs_of(week_ending)


def _snapshot_of(week_ending: date, inputs: Sequence[Capture]) -> AnalyticsSnapshot | None:
    return AnalyticsSnapshot.objects.filter(
        week_ending=week_ending, inputs_hash=_inputs_hash(inputs), calculation_version=CALCULATION_VERSION
    ).first()


def _inputs_hash(inputs: Sequence[Capture]) -> str:
    return hashlib.sha256("\n".join(sorted(capture.capture_id for capture in inputs)).encode()).hexdigest()


def as_of(instant: datetime | date | str, week_ending: date) -> AsOf:
    """A week's figures at an instant: from the snapshot of the captures that were newest then, else computed.

    They are also computed where the snapshot's file of symbols is lost. Writes nothing. Takes the instants of
    `vintages.read.as_of`, with its errors: NoSuchVintage for a future instant, and where retention has removed a capture
    that was newest then; CalendarError for a text that is no instant.
    """
    captures = read.captures_as_of(instant, [PartitionKey(week_ending, tier) for tier in Tier])
    snapshot = snapshots_of({week_ending: captures}).get(week_ending)
    if snapshot is not None:
        with suppress(VintageDamaged):
            return AsOf(captures, snapshot, results.of_snapshot(snapshot))
    return AsOf(captures, snapshot, _figures(captures))


def snapshots_of(inputs: Mapping[date, Sequence[Capture]]) -> dict[date, AnalyticsSnapshot]:
    """Each week's snapshot of these captures, by this version of the calculation; one query."""
    wanted = {(week, _inputs_hash(captures)) for week, captures in inputs.items()}
    found = AnalyticsSnapshot.objects.filter(
        week_ending__in=inputs, calculation_version=CALCULATION_VERSION, inputs_hash__in=[given for _, given in wanted]
    )
    return {one.week_ending: one for one in found if (one.week_ending, one.inputs_hash) in wanted}


def figures_from(captures: Sequence[Capture]) -> Figures:
    """A week's figures, computed from the files of these captures. Errors as `vintages.read.of_captures`."""
    return _figures(list(captures))


def rebuild_symbols(snapshot: AnalyticsSnapshot) -> None:
    """Write the file of a snapshot's symbols again, computed from its captures; remove what is left of the old one.

    VintageDamaged where one of their files is lost, or another version of the calculation made the snapshot.
    """
    if snapshot.calculation_version != CALCULATION_VERSION:
        raise symbols.damaged(snapshot, f"cannot be made again: the calculation is version {CALCULATION_VERSION} now")
    inputs, old = list(snapshot.inputs.select_related("partition")), snapshot.symbols_path
    symbols.write(snapshot, inputs, _figures(inputs).coded_symbols)
    snapshot.save(update_fields=["symbols_path", "symbols_bytes", "symbols_sha256"])
    if snapshot.symbols_path != old:
        store.discard(old)


def is_reproduced(snapshot: AnalyticsSnapshot) -> bool:
    """Whether a snapshot's captures give its figures again, to the bit. Writes nothing; errors of reading either."""
    again, held = _figures(list(snapshot.inputs.select_related("partition"))), results.of_snapshot(snapshot)
    pairs = ((again.venues, held.venues), (again.markets, held.markets), (again.symbols, held.symbols))
    return all(one.equals(other) for one, other in pairs)


def _mend(snapshot: AnalyticsSnapshot) -> bool:
    """Make the file of a snapshot's symbols again if it is lost; whether that was done. The archive's check tells more."""
    with suppress(OSError):
        try:
            symbols.of_snapshot(snapshot)
        except VintageDamaged:
            with suppress(VintageDamaged, NoSuchVintage):
                rebuild_symbols(snapshot)
                file_checks.record_read({snapshot.symbols_sha256: True})
                return True
    return False


def _figures(captures: list[Capture]) -> Figures:
    rows = read.of_captures(captures)
    with read.naming_damage(captures):
        return figures_of(rows)


@transaction.atomic
def _save(
    week_ending: date, inputs: list[Capture], figures: Figures, started: float, run: Run | None
) -> AnalyticsSnapshot | None:
    """Save the figures of the inputs; None where the week has other inputs by now, or another process was quicker."""
    Partition.objects.lock_week(week_ending)
    computed = list(AnalyticsSnapshot.objects.filter(week_ending=week_ending))
    if _inputs_hash(inputs_of(week_ending)) != _inputs_hash(inputs) or any(is_current(one, inputs) for one in computed):
        return None
    snapshot = AnalyticsSnapshot(
        week_ending=week_ending,
        sequence=max((one.sequence for one in computed), default=0) + 1,
        calculation_version=CALCULATION_VERSION,
        inputs_hash=_inputs_hash(inputs),
        computed_at=timezone.now(),
    )
    results.save(snapshot, inputs, figures)
    _add_manifest(snapshot, inputs, started, run)
    return snapshot


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
