"""The page of a partition: its captures, its manifests, its anomalies, each try and each act, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db.models import F, Q

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.lines import SHOWN, AnomalyLine, CaptureLine, ManifestLine, acts_on
from pipeline.finra.calendar import due_date, is_due, market_today
from pipeline.models import Anomaly, Manifest, Partition, RunPartition


@dataclass(frozen=True, slots=True)
class TryLine:
    """One run's work on the partition."""

    tried: RunPartition

    @property
    def run(self) -> str:
        return link(self.tried.run, f"run {self.tried.run_id}")

    @property
    def came(self) -> str:
        """The outcome, or where it stands."""
        return badge(self.tried.outcome or self.tried.status)

    @property
    def reason(self) -> str:
        """The reason for the outcome; before it, the plan's reason."""
        return self.tried.reason or self.tried.plan_reason

    @property
    def capture(self) -> str:
        return link(self.tried.capture, f"version {self.tried.capture.version}") if self.tried.capture else ""

    @property
    def timings(self) -> str:
        """How long fetching, parsing and storing took, as far as it got."""
        one = self.tried
        steps = (
            ("fetch", one.started_at, one.fetched_at),
            ("parse", one.fetched_at, one.parsed_at),
            ("store", one.parsed_at, one.stored_at),
        )
        return ", ".join(f"{name} {figures.between(start, end)}" for name, start, end in steps if start and end)

    @property
    def whole(self) -> str:
        return figures.between(self.tried.started_at, self.tried.finished_at)


def contents(partition: Partition) -> dict[str, Any]:
    """The context of a partition's page. Seven queries, whatever its history."""
    captures = list(partition.captures.select_related("run").order_by("-version")[: SHOWN + 1])
    keys = [capture.pk for capture in captures]
    due = due_date(partition.key.tier, partition.week_ending)
    return {
        "captures": [CaptureLine(capture, capture.pk == partition.latest_id) for capture in captures[:SHOWN]],
        "older_captures": len(captures) > SHOWN,
        "newest": CaptureLine(partition.latest, True) if partition.latest else None,
        "manifests": [ManifestLine(manifest) for manifest in _manifests(keys)],
        "anomalies": _anomalies(partition),
        "tries": _tries(partition),
        "acts": acts_on([("partition", [partition.pk]), ("capture", keys)]),
        "due": due,
        "is_due": is_due(partition.key, market_today()),
        "shown": SHOWN,
    }


def _manifests(captures: list[int]) -> list[Manifest]:
    """The manifests of the captures, and of the snapshots that were computed from them."""
    of_captures = Manifest.objects.filter(capture__in=captures).select_related("capture", "run")
    of_weeks = Manifest.objects.filter(snapshot__inputs__in=captures).select_related("snapshot", "run").distinct()
    found = chain(of_captures.order_by("-pk")[: 2 * SHOWN], of_weeks.order_by("-pk")[:SHOWN])
    return sorted(found, key=lambda manifest: -manifest.pk)


def _anomalies(partition: Partition) -> list[AnomalyLine]:
    """The anomalies of it and of its week, open ones first."""
    of_week = Q(partition__isnull=True, week_ending=partition.week_ending)
    open_first = (F("resolved_at").desc(nulls_first=True), "-last_seen_at", "-pk")
    found = Anomaly.objects.filter(Q(partition=partition) | of_week).order_by(*open_first)
    return [AnomalyLine(anomaly) for anomaly in found[:SHOWN]]


def _tries(partition: Partition) -> list[TryLine]:
    tries = partition.run_partitions.select_related("run", "capture", "partition").order_by("-pk")[:SHOWN]
    return [TryLine(tried) for tried in tries]
