"""The week x tier grid: the state of each partition, read in a handful of queries whatever the number of weeks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from django.db.models import Q

from pipeline.finra.calendar import PartitionKey, due_date, is_due
from pipeline.models import AnalyticsSnapshot, Anomaly, Capture, Category, Partition, RunPartition, Severity
from pipeline.runs.history import last_tries
from pipeline.vintages.holdings import Lost


class CellState(StrEnum):
    """The state of a partition in the grid."""

    GOOD = "GOOD"
    ARCHIVED = "ARCHIVED"
    LATE = "LATE"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    MISSING = "MISSING"
    DAMAGED = "DAMAGED"
    BLOCKED = "BLOCKED"
    NOT_YET_DUE = "NOT_YET_DUE"


STAGE_WORDS = {"RAW": "archived", "NORMALIZED": "stored", "CALC": "calculated"}

# The state that an open anomaly gives its partition, whatever its severity; one of another category blocks from ERROR on.
STANDING = {
    Category.REFUSED: CellState.REFUSED,
    Category.FETCH_FAILED: CellState.FAILED,
    Category.UNREADABLE: CellState.FAILED,
    Category.STALLED: CellState.FAILED,
    Category.INTERNAL: CellState.FAILED,
    Category.LATE: CellState.LATE,
    Category.ARCHIVE_DAMAGED: CellState.DAMAGED,
}


BACKFILLED = (CellState.LATE, CellState.FAILED)


@dataclass(frozen=True, slots=True)
class Cell:
    """One partition of the grid. `stage` is how far its newest capture has come.

    `newest` is that capture, `last_try` the newest try of a run, `anomaly` the gravest open one that stands against it;
    `partition_id` is None while the ledger has no row of it.
    """

    week_ending: date
    tier: str
    state: CellState
    stage: str
    due: date
    detail: str
    newest: Capture | None = None
    last_try: RunPartition | None = None
    anomaly: Anomaly | None = None
    partition_id: int | None = None

    @property
    def version(self) -> int:
        """The newest capture's version; 0 without one."""
        return self.newest.version if self.newest else 0

    @property
    def captured_at(self) -> datetime | None:
        """When the newest capture was made."""
        return self.newest.captured_at if self.newest else None

    def as_document(self) -> dict[str, object]:
        """The cell, for JSON."""
        names = ("week_ending", "tier", "state", "stage", "version", "due", "detail")
        capture_id = self.newest.capture_id if self.newest else None
        return {**{name: getattr(self, name) for name in names}, "capture_id": capture_id}

    @property
    def text(self) -> str:
        """The cell, for a person."""
        if self.state is CellState.NOT_YET_DUE:
            return f"due {self.due}"
        return f"v{self.version} {STAGE_WORDS[self.stage]}" if self.state is CellState.GOOD else self.state


def cells(keys: Collection[PartitionKey], today: date, lost: Iterable[Lost]) -> list[Cell]:
    """The cells of `keys`, newest week first. A partition whose newest payload is `lost` is DAMAGED."""
    damaged = {one.capture.pk: one.sentence for one in lost}
    against = _standing_against(weeks := {key.week_ending for key in keys})
    tries = last_tries(weeks)
    partitions = {partition.key: partition.pk for partition in Partition.objects.filter(week_ending__in=weeks)}
    newest = Capture.objects.newest_by_key(weeks)
    calculated = _calculated(weeks)
    ordered = sorted(keys, key=lambda key: (-key.week_ending.toordinal(), key.tier))
    found = []
    for key in ordered:
        held, tried = newest.get(key), tries.get(key)
        state, detail = _state(key, today, held, tried, damaged, against.get(key))
        found.append(
            Cell(
                week_ending=key.week_ending,
                tier=key.tier,
                state=state,
                stage=_stage(held, calculated),
                due=due_date(key.tier, key.week_ending),
                detail=detail,
                newest=held,
                last_try=tried,
                anomaly=against.get(key),
                partition_id=partitions.get(key),
            )
        )
    return found


def _standing_against(weeks: Collection[date]) -> dict[PartitionKey, Anomaly]:
    """The gravest open anomaly that stands against each partition, the newest of several."""
    grave = Q(pk__in=Anomaly.objects.open().grave().values("pk"))
    open_ = Anomaly.objects.open().filter(grave | Q(category__in=STANDING), partition__week_ending__in=weeks)
    found = open_.select_related("partition", "last_run").order_by("last_seen_at", "pk")
    ordered = sorted(found, key=lambda anomaly: Severity.values.index(anomaly.severity))
    return {anomaly.partition.key: anomaly for anomaly in ordered if anomaly.partition}


def _calculated(weeks: Collection[date]) -> set[int]:
    """The captures that the weeks' newest snapshots were computed from (see `analytics.newest_snapshot`)."""
    inputs: dict[date, dict[int, set[int]]] = {}
    through = AnalyticsSnapshot.inputs.through.objects.filter(analyticssnapshot__week_ending__in=weeks)
    named = through.values_list("analyticssnapshot__week_ending", "analyticssnapshot__sequence", "capture_id")
    for week, sequence, capture in named:
        inputs.setdefault(week, {}).setdefault(sequence, set()).add(capture)
    current = _current_inputs(weeks)
    newest = (_newest_inputs(of_week, current.get(week, set())) for week, of_week in inputs.items())
    return {capture for captures in newest for capture in captures}


def _current_inputs(weeks: Collection[date]) -> Mapping[date, set[int]]:
    held: dict[date, set[int]] = {}
    latest = Partition.objects.filter(week_ending__in=weeks, latest__isnull=False)
    for week, capture in latest.values_list("week_ending", "latest"):
        held.setdefault(week, set()).add(capture)
    return held


def _newest_inputs(of_week: Mapping[int, set[int]], current: set[int]) -> set[int]:
    return current if current in of_week.values() else of_week[max(of_week)]


def _state(
    key: PartitionKey,
    today: date,
    newest: Capture | None,
    last_try: RunPartition | None,
    damaged: Mapping[int, str],
    anomaly: Anomaly | None,
) -> tuple[CellState, str]:
    bad = (STANDING.get(Category(anomaly.category), CellState.BLOCKED), anomaly.message) if anomaly else None
    if newest is None:
        missing = (CellState.MISSING, last_try.reason if last_try else "never tried")
        return bad or (missing if is_due(key, today) else (CellState.NOT_YET_DUE, ""))
    if newest.pk in damaged:
        return CellState.DAMAGED, damaged[newest.pk]
    if newest.normalized_at is None:
        return CellState.ARCHIVED, f"{newest.capture_id} is archived, its rows are not stored"
    if newest.rows_kept == 0:
        return CellState.BLOCKED, f"version {newest.version} has no rows"
    return bad or (CellState.GOOD, newest.reason)


def _stage(newest: Capture | None, calculated: Collection[int]) -> str:
    if newest is None:
        return ""
    if newest.normalized_at is None:
        return "RAW"
    return "CALC" if newest.pk in calculated else "NORMALIZED"
