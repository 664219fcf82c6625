"""Ledgers with a past: partitions captured again and again over years, with snapshots, pins, anomalies and verdicts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Backup,
    Capture,
    Category,
    Partition,
    Readiness,
    Severity,
    Use,
)
from tests.vintages.frames import WEEK, stored

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEYS = [PartitionKey(WEEK, tier) for tier in Tier]


def backed_up(at: datetime = NOW) -> Backup:
    """A backup of just now."""
    return Backup.objects.create(made_at=at, finished_at=at, place="elsewhere", name="made for a test")


def snapshot(captures: Sequence[Capture], at: datetime) -> AnalyticsSnapshot:
    """The week's next snapshot, of these captures; without figures."""
    number = AnalyticsSnapshot.objects.count() + 1
    made = AnalyticsSnapshot.objects.create(
        week_ending=WEEK,
        sequence=number,
        calculation_version=1,
        inputs_hash=f"{number:064}",
        computed_at=at,
        symbols_path=f"analytics/{WEEK}/s{number:04}.parquet",
        symbols_bytes=1,
        symbols_sha256=f"{number:064}",
    )
    made.inputs.set(captures)
    return made


def drawn(draw: random.Random) -> None:
    """A history drawn by chance: some guards are set on some captures."""
    latest: dict[PartitionKey, Capture] = {}
    for number, at in enumerate(instants(draw)):
        key = draw.choice(KEYS)
        latest[key] = stored([("AAPL", "UBSA", str(100 + number), 1)], at, key=key)
        if draw.random() < 0.6:
            snapshot(list(latest.values()), at + timedelta(minutes=1))
    captures = list(Capture.objects.order_by("pk"))
    for capture in draw.sample(captures, k=min(2, len(captures))):
        Capture.objects.filter(pk=capture.pk).update(pinned=True, pin_note="the quarter")
    if draw.random() < 0.5:
        partition = draw.choice(list(Partition.objects.order_by("pk")))
        Anomaly.objects.record(Category.RESTATED_LATE, Severity.INFO, "late", partition=partition)
    snapshots = list(AnalyticsSnapshot.objects.order_by("pk"))
    if snapshots and draw.random() < 0.5:
        now = timezone.now()
        Readiness.objects.create(
            week_ending=WEEK,
            use=Use.RESEARCH,
            state="READY",
            snapshot=draw.choice(snapshots),
            since=now,
            decided_at=now,
        )


def instants(draw: random.Random) -> Iterator[datetime]:
    """Instants of the last four years, in order."""
    days = sorted(draw.sample(range(1500), k=draw.randint(3, 9)), reverse=True)
    return (NOW - timedelta(days=day, hours=1) for day in days)
