"""The facts of each capture that retention decides by: since when it is superseded, and its guards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pipeline.keeping.policy import Policy, Vintage
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Capture,
    EntryState,
    Partition,
    PartitionStatus,
    PruneEntry,
    Readiness,
    RunPartition,
    RunStatus,
)
from pipeline.models.pruning import GONE, IN_WINDOW


@dataclass(frozen=True, slots=True)
class Guards:
    """The guards of captures, a sentence each, by capture and by partition."""

    captures: Mapping[int, list[str]] = field(default_factory=dict)
    partitions: Mapping[int, list[str]] = field(default_factory=dict)

    def of(self, capture: Capture) -> tuple[str, ...]:
        """All guards of a capture."""
        return (
            *_of_itself(capture),
            *self.captures.get(capture.pk, ()),
            *self.partitions.get(capture.partition_id, ()),
        )


def _of_itself(capture: Capture) -> Iterable[str]:
    partition = capture.partition
    if capture.pk == partition.latest_id or capture.version == partition.newest_version:
        yield "the newest of its partition"
    if capture.pinned:
        yield f"pinned: {capture.pin_note}"
    if capture.normalized_at is None:
        yield "its rows are not stored yet"


def vintages(
    policy: Policy, now: datetime, partitions: Iterable[int] | None = None, plan: int | None = None
) -> dict[int, list[Vintage]]:
    """The captures of each partition that has any, oldest first; of all partitions, or of some.

    A capture that was pruned or given up is guarded by that, except from `plan`, which marked it.
    """
    captures = Capture.objects.select_related("partition").order_by("partition", "version")
    found = list(captures if partitions is None else captures.filter(partition__in=partitions))
    guards = _guards(found, policy, now, plan)
    of_partition: dict[int, list[Capture]] = defaultdict(list)
    for capture in found:
        of_partition[capture.partition_id].append(capture)
    return {partition: _vintages(ones, guards) for partition, ones in of_partition.items()}


def _vintages(captures: list[Capture], guards: Guards) -> list[Vintage]:
    """`superseded_at` is the instant at which the next version's rows became known."""
    later: datetime | None = None
    found = []
    for capture in reversed(captures):
        found.append(Vintage(capture.pk, capture.version, capture.normalized_at, later, guards.of(capture)))
        later = capture.normalized_at or later
    return found[::-1]


def _guards(captures: list[Capture], policy: Policy, now: datetime, plan: int | None) -> Guards:
    weeks = {capture.partition.week_ending for capture in captures}
    named: dict[int, list[str]] = defaultdict(list)
    for source in (_by_snapshots(kept_snapshots(weeks, policy, now)), _by_pruning(captures, policy, plan)):
        for pk, sentence in source:
            named[pk].append(sentence)
    return Guards(named, _of_partitions(captures))


def _of_partitions(captures: list[Capture]) -> Mapping[int, list[str]]:
    """The guards of each partition: open anomalies of it or of its week, and runs that have it in flight."""
    partitions = {capture.partition_id: capture.partition for capture in captures}
    found: dict[int, list[str]] = defaultdict(list)
    of_week: dict[date, list[int]] = defaultdict(list)
    for pk, partition in partitions.items():
        of_week[partition.week_ending].append(pk)
    for anomaly in Anomaly.objects.open().order_by("pk"):
        told = f"anomaly {anomaly.pk} ({anomaly.category}) is open"
        concerned = [anomaly.partition_id] if anomaly.partition_id else of_week.get(anomaly.week_ending or date.min, [])
        for pk in concerned:
            found[pk].append(told)
    under_way = RunPartition.objects.exclude(status=PartitionStatus.DONE).filter(run__status=RunStatus.RUNNING)
    for pk, run in under_way.values_list("partition", "run"):
        found[pk].append(f"run {run} has the partition in flight")
    return found


def _by_pruning(captures: list[Capture], policy: Policy, plan: int | None) -> Iterable[tuple[int, str]]:
    """Captures without rows are not pruned again, but for their payload."""
    entries = PruneEntry.objects.filter(state__in=(*IN_WINDOW, *GONE))
    of_capture = {entry.capture_id: entry for entry in entries.order_by("pk")}
    for capture in captures:
        entry = of_capture.get(capture.pk)
        if capture.pruned_at is None or (entry is not None and entry.plan_id == plan):
            continue
        if entry is None:
            yield capture.pk, "its rows were given up by force"
        elif entry.state != EntryState.REMOVED:
            yield capture.pk, f"plan {entry.plan_id} has marked it"
        elif entry.with_payload or not policy.payloads:
            yield capture.pk, f"plan {entry.plan_id} has removed it"


def kept_snapshots(weeks: Iterable[date], policy: Policy, now: datetime) -> list[tuple[AnalyticsSnapshot, str]]:
    """The snapshots of these weeks that stay, each with the reason for which its captures stay, too."""
    verdicts = set(
        AnalyticsSnapshot.objects.filter(pk__in=Readiness.objects.values("snapshot")).values_list("pk", flat=True)
    )
    pinned = set(AnalyticsSnapshot.objects.filter(inputs__pinned=True).values_list("pk", flat=True))
    snapshots = AnalyticsSnapshot.objects.filter(week_ending__in=weeks).order_by("week_ending", "-sequence")
    kept, later = list[tuple[AnalyticsSnapshot, str]](), dict[date, datetime]()
    for snapshot in snapshots:
        superseded = later.get(snapshot.week_ending)
        if why := _kept_because(snapshot, superseded, policy, now, verdicts, pinned):
            kept.append((snapshot, f"{snapshot} was computed from it, and is kept: {why}"))
        later[snapshot.week_ending] = snapshot.computed_at
    return kept


def _kept_because(
    snapshot: AnalyticsSnapshot,
    superseded: datetime | None,
    policy: Policy,
    now: datetime,
    verdicts: set[int],
    pinned: set[int],
) -> str:
    if superseded is None:
        return "the newest of its week"
    if snapshot.pk in verdicts:
        return "a verdict names it"
    if snapshot.pk in pinned:
        return "a capture that it was computed from is pinned"
    if not policy.snapshots:
        return "snapshots are kept"
    young = now - superseded < timedelta(days=policy.older_than)
    return f"superseded {(now - superseded).days} days ago" if young else ""


def _by_snapshots(kept: Iterable[tuple[AnalyticsSnapshot, str]]) -> Iterable[tuple[int, str]]:
    told = {snapshot.pk: why for snapshot, why in kept}
    inputs = AnalyticsSnapshot.inputs.through.objects.filter(analyticssnapshot__in=told)
    for snapshot, capture in inputs.order_by("analyticssnapshot").values_list("analyticssnapshot_id", "capture_id"):
        yield capture, told[snapshot]


def partitions_of(captures: Iterable[int]) -> set[int]:
    """The partitions of some captures."""
    return set(Partition.objects.filter(captures__in=captures).values_list("pk", flat=True))
