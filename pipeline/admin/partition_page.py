"""What the page of a partition shows: everything that was captured of it, tried with it and done to it, newest first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db.models import F, Q

from pipeline.admin import figures
from pipeline.admin.base import badge, link, page_url
from pipeline.calendar import due_date, is_due, market_today
from pipeline.models import Anomaly, Capture, CaptureKind, Manifest, OperatorLogSubject, Partition, RunPartition

SHOWN = 30
KIND_LOOKS = {
    CaptureKind.FIRST: "INGESTED",
    CaptureKind.RESTATEMENT: "RESTATED",
    CaptureKind.FORCED: "WARN",
    CaptureKind.REPARSED: "INFO",
}


@dataclass(frozen=True, slots=True)
class CaptureLine:
    """A capture on a timeline."""

    capture: Capture
    is_latest: bool

    @property
    def url(self) -> str:
        """Its page."""
        return page_url(self.capture)

    @property
    def kind(self) -> str:
        """Why it was made, as a badge."""
        return kind_badge(self.capture)

    @property
    def counts(self) -> str:
        """+200 / 35 / -2, or nothing for a first capture."""
        counts = figures.restated(self.capture)
        return "" if counts == figures.NONE else counts

    @property
    def rows(self) -> str:
        return figures.number(self.capture.rows_kept)

    @property
    def rejected(self) -> str:
        return figures.number(self.capture.rows_rejected) if self.capture.rows_rejected else ""

    @property
    def shares(self) -> str:
        return figures.number(self.capture.shares)

    @property
    def trades(self) -> str:
        return figures.number(self.capture.trades)


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """A manifest in a table: of which version or snapshot, and its figures."""

    manifest: Manifest

    @property
    def of(self) -> str:
        """What it is a manifest of, as a link."""
        manifest = self.manifest
        if manifest.capture:
            return link(manifest.capture, f"version {manifest.capture.version}")
        return link(manifest.snapshot, f"snapshot {manifest.snapshot.sequence}") if manifest.snapshot else figures.NONE

    @property
    def run(self) -> str:
        return link(self.manifest.run, f"run {self.manifest.run_id}")

    @property
    def figures(self) -> tuple[str, ...]:
        """Rows in, kept, rejected; shares; trades; how long it took."""
        one = self.manifest
        rows = map(figures.number, (one.rows_in, one.rows_kept, one.rows_rejected, one.shares, one.trades))
        return (*rows, figures.seconds(one.duration))

    @property
    def checksum(self) -> str:
        return figures.short(self.manifest.checksum)


@dataclass(frozen=True, slots=True)
class TryLine:
    """What one run did with the partition."""

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
        """Why it came to that; while it has not, what is planned."""
        return self.tried.reason or self.tried.plan_reason

    @property
    def capture(self) -> str:
        return link(self.tried.capture, f"version {self.tried.capture.version}") if self.tried.capture else ""

    @property
    def timings(self) -> str:
        """How long fetching, parsing and storing took, as far as it came."""
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


@dataclass(frozen=True, slots=True)
class AnomalyLine:
    """An anomaly, open or resolved."""

    anomaly: Anomaly

    @property
    def severity(self) -> str:
        return badge(self.anomaly.severity)

    @property
    def url(self) -> str:
        return page_url(self.anomaly)


@dataclass(frozen=True, slots=True)
class ActLine:
    """What somebody did to the partition or to one of its captures."""

    subject: OperatorLogSubject

    @property
    def entry(self) -> str:
        """Who did what, as a link."""
        return link(self.subject.entry)

    @property
    def upshot(self) -> str:
        return badge(self.subject.entry.upshot)

    @property
    def run(self) -> str:
        entry = self.subject.entry
        return link(entry.run, f"run {entry.run_id}") if entry.run else ""


def kind_badge(capture: Capture) -> str:
    """Why a capture was made, as a badge."""
    return badge(KIND_LOOKS[CaptureKind(capture.kind)], CaptureKind(capture.kind).name.lower())


def contents(partition: Partition) -> dict[str, Any]:
    """The context of a partition's page. Seven queries, whatever it has been through."""
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


def acts_on(subjects: Collection[tuple[str, list[int]]]) -> list[ActLine]:
    """What operators did to rows of the ledger, given by kind and keys; newest first."""
    wanted = Q()
    for kind, keys in subjects:
        wanted |= Q(kind=kind, key__in=[str(key) for key in keys])
    found = OperatorLogSubject.objects.filter(wanted).select_related("entry__run").order_by("-entry_id")
    return [ActLine(subject) for subject in found[:SHOWN]]


def _manifests(captures: list[int]) -> list[Manifest]:
    """Those of the captures' stages, and of the snapshots that were computed from them."""
    of_captures = Manifest.objects.filter(capture__in=captures).select_related("capture", "run")
    of_weeks = Manifest.objects.filter(snapshot__inputs__in=captures).select_related("snapshot", "run").distinct()
    found = chain(of_captures.order_by("-pk")[: 2 * SHOWN], of_weeks.order_by("-pk")[:SHOWN])
    return sorted(found, key=lambda manifest: -manifest.pk)


def _anomalies(partition: Partition) -> list[AnomalyLine]:
    """Its own and its week's, the open ones first."""
    of_week = Q(partition__isnull=True, week_ending=partition.week_ending)
    open_first = (F("resolved_at").desc(nulls_first=True), "-last_seen_at", "-pk")
    found = Anomaly.objects.filter(Q(partition=partition) | of_week).order_by(*open_first)
    return [AnomalyLine(anomaly) for anomaly in found[:SHOWN]]


def _tries(partition: Partition) -> list[TryLine]:
    tries = partition.run_partitions.select_related("run", "capture", "partition").order_by("-pk")[:SHOWN]
    return [TryLine(tried) for tried in tries]
