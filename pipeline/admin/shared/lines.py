"""Lines of tables that several pages show: captures, manifests, anomalies, acts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge, link, page_url
from pipeline.models import Anomaly, Capture, CaptureKind, Manifest, OperatorLogSubject

KIND_LOOKS = {
    CaptureKind.FIRST: "INGESTED",
    CaptureKind.RESTATEMENT: "RESTATED",
    CaptureKind.FORCED: "WARN",
    CaptureKind.REPARSED: "INFO",
    CaptureKind.ANNULMENT: "WARN",
    CaptureKind.EVIDENCE: "INFO",
}
SHOWN = 30


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
        """The kind of capture, as a badge."""
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
    """A manifest in a table: its version or snapshot, and its figures."""

    manifest: Manifest

    @property
    def of(self) -> str:
        """The capture or snapshot that the manifest is of, as a link."""
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
    """A person's act on the partition or on one of its captures."""

    subject: OperatorLogSubject

    @property
    def entry(self) -> str:
        """The person and the act, as a link."""
        return link(self.subject.entry)

    @property
    def outcome(self) -> str:
        return badge(self.subject.entry.outcome)

    @property
    def run(self) -> str:
        entry = self.subject.entry
        return link(entry.run, f"run {entry.run_id}") if entry.run else ""


def kind_badge(capture: Capture) -> str:
    """The kind of a capture, as a badge."""
    return badge(KIND_LOOKS[CaptureKind(capture.kind)], CaptureKind(capture.kind).name.lower())


def acts_on(subjects: Collection[tuple[str, list[int]]]) -> list[ActLine]:
    """The acts of operators on rows of the ledger, which are given by kind and keys; newest first."""
    wanted = Q()
    for kind, keys in subjects:
        wanted |= Q(kind=kind, key__in=[str(key) for key in keys])
    found = OperatorLogSubject.objects.filter(wanted).select_related("entry__run").order_by("-entry_id")
    return [ActLine(subject) for subject in found[:SHOWN]]
