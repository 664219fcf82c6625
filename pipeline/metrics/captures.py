"""Captures: the newest week's and the newest restatement of each tier."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Max

from pipeline.finra.calendar import Tier
from pipeline.metrics.samples import Sample, instant, sample
from pipeline.models import Capture, CaptureKind, RunPartition

CHANGES = ("added", "changed", "removed")


def read(_now: datetime) -> Iterator[Sample]:
    """The figures of each tier, and when something was last fetched."""
    fetched = RunPartition.objects.aggregate(newest=Max("fetched_at"))["newest"]
    yield from instant("finra_last_success_timestamp_seconds", fetched)
    for tier in Tier:
        of_tier = Capture.objects.normalized().filter(partition__tier=tier)
        if newest := of_tier.order_by("-partition__week_ending", "-version").first():
            yield sample("capture_rows", newest.rows_kept, tier=tier)
            yield sample("capture_rows_rejected", newest.rows_rejected, tier=tier)
            yield sample("capture_payload_bytes", newest.payload_bytes, tier=tier)
        if restated := of_tier.filter(kind=CaptureKind.RESTATEMENT).order_by("-position").first():
            yield from _restatement(restated, tier)


def _restatement(capture: Capture, tier: Tier) -> Iterator[Sample]:
    for change in CHANGES:
        yield sample("capture_row_changes", getattr(capture, f"rows_{change}") or 0, tier=tier, change=change)
    first = Capture.objects.filter(partition=capture.partition_id).order_by("version").first()
    if first:
        yield sample("restatement_lag_seconds", (capture.captured_at - first.captured_at).total_seconds(), tier=tier)
