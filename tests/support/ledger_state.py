"""What a ledger says, without ids and clock times: for comparing two ledgers, or one before and after.

A partition's captures with the rows of their vintage files are one value: atomic storing means that it is as before or as
after, never between.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.files.storage import default_storage

from pipeline.finra import rows
from pipeline.finra.calendar import PartitionKey
from pipeline.models import (
    Anomaly,
    Capture,
    Manifest,
    MarketConcentration,
    Partition,
    Readiness,
    Run,
    RunStatus,
    VenueVolume,
)
from pipeline.vintages import archive, read, store
from pipeline.weeks import analytics, symbols

CAPTURE_FIELDS = (
    "capture_id",
    "version",
    "kind",
    "cause",
    "reason",
    "payload_sha256",
    "content_hash",
    "rows_in",
    "rows_kept",
    "rows_rejected",
    "shares",
    "trades",
    "rows_added",
    "rows_changed",
    "rows_removed",
    "rows_unchanged",
)
NUMBERED = re.compile(r"anomaly \d+")


@dataclass(frozen=True)
class PartitionState:
    """The captures of a partition, oldest first, each with its manifests, rejects and rows; which of them is latest.

    The rows are those of the vintage file, in its order, None while they are not stored.
    """

    captures: list[tuple[Any, ...]]
    manifests: list[list[tuple[Any, ...]]]
    rejects: list[list[tuple[Any, ...]]]
    rows: list[list[tuple[Any, ...]] | None]
    latest: str | None


@dataclass(frozen=True)
class WeekState:
    """A week's newest snapshot: its inputs and figures; and its readiness per use, with the reasons."""

    inputs: list[str]
    venues: list[tuple[Any, ...]]
    market: list[tuple[Any, ...]]
    symbols: list[tuple[Any, ...]]
    readiness: list[tuple[str, str, list[str]]]


@dataclass(frozen=True)
class LedgerState:
    """All of it that a user sees, and that is the same however often a run was disturbed."""

    partitions: dict[PartitionKey, PartitionState]
    weeks: dict[date, WeekState]
    anomalies: list[tuple[str, str, str, str]]


def ledger_state() -> LedgerState:
    """The ledger of the database in use."""
    weeks = set(Readiness.objects.values_list("week_ending", flat=True))
    return LedgerState(partition_states(), {week: _week(week) for week in sorted(weeks)}, open_anomalies())


def checksum(state: LedgerState) -> str:
    """SHA-256 of a state: of each capture, payload hash, reject and row, of snapshots, readiness and open anomalies.

    Computed floats to 11 digits: SQLite and PostgreSQL add them up in another order.
    """
    return hashlib.sha256(_canonical(state).encode()).hexdigest()


def _canonical(value: object) -> str:
    if is_dataclass(value):
        return _canonical([getattr(value, field.name) for field in fields(value)])
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{_canonical(key)}: {_canonical(held)}" for key, held in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_canonical, value)) + "]"
    if isinstance(value, float):
        return f"{value:.10e}"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def partition_states() -> dict[PartitionKey, PartitionState]:
    """Every partition that has been captured."""
    captured = Partition.objects.filter(newest_version__gte=1).select_related("latest")
    return {partition.key: _partition(partition) for partition in captured}


def open_anomalies() -> list[tuple[str, str, str, str]]:
    """Category, severity, place and message of the open ones, in order."""
    found = Anomaly.objects.open().select_related("partition")
    return sorted((a.category, a.severity, str(a.partition or a.week_ending), a.message) for a in found)


def row_counts() -> dict[str, int]:
    """How many rows each table has, the tables between two models included."""
    models = apps.get_app_config("pipeline").get_models(include_auto_created=True)
    return {model._meta.db_table: model._base_manager.count() for model in models}


def archived_files() -> list[str]:
    """The files of the archive's folder, relative to it."""
    folder = Path(default_storage.path(""))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def is_untouched_by(act: Callable[[], object]) -> bool:
    """Whether `act` leaves every table and the archive as they are."""
    before = (row_counts(), ledger_state(), archived_files())
    act()
    return before == (row_counts(), ledger_state(), archived_files())


def check_consistent() -> None:
    """AssertionError unless files, pointers, feed and archive are what the captures say they are."""
    for partition in Partition.objects.select_related("latest"):
        captures = list(Capture.objects.filter(partition=partition).order_by("version"))
        assert [capture.version for capture in captures] == list(range(1, partition.newest_version + 1))
        assert partition.latest == next((c for c in reversed(captures) if c.normalized_at), None)
        positions = [capture.position for capture in captures if capture.position is not None]
        assert positions == sorted(set(positions))
        for capture in captures:
            if capture.pruned_at is None:
                _check_capture(capture)


def check_all_runs_ended() -> None:
    """AssertionError when a run is still under way."""
    assert not Run.objects.filter(status=RunStatus.RUNNING).exists()


def _check_capture(capture: Capture) -> None:
    archive.get(capture.payload_sha256)
    if capture.normalized_at is None:
        assert (capture.position, capture.vintage_path) == (None, "")
        return
    store.verify(capture)
    held = read.of_capture(capture).collect()
    assert rows.content_hash(held) == capture.content_hash
    sums = held.height, rows.shares_of(held), held["trades"].sum()
    assert sums == (capture.rows_kept, capture.shares, capture.trades)


def _partition(partition: Partition) -> PartitionState:
    captures = list(Capture.objects.filter(partition=partition).order_by("version"))
    manifests = ("stage", "rows_in", "rows_kept", "rows_rejected", "shares", "trades", "checksum")
    return PartitionState(
        captures=[tuple(getattr(capture, field) for field in CAPTURE_FIELDS) for capture in captures],
        manifests=[sorted(Manifest.objects.filter(capture=c).values_list(*manifests)) for c in captures],
        rejects=[list(c.rejects.values_list("part", "line", "reason", "text")) for c in captures],
        rows=[_rows(capture) for capture in captures],
        latest=partition.latest.capture_id if partition.latest else None,
    )


def _rows(capture: Capture) -> list[tuple[Any, ...]] | None:
    if capture.normalized_at is None:
        return None
    return read.of_capture(capture).collect().rows()


def _week(week_ending: date) -> WeekState:
    snapshot = analytics.newest_snapshot(week_ending)
    venues = VenueVolume.objects.filter(snapshot=snapshot).values_list(
        "scope", "mpid", "venue_name", "shares", "trades", "symbols", "share", "rank"
    )
    market = MarketConcentration.objects.filter(snapshot=snapshot).values_list(
        "scope", "family", "shares", "trades", "venues", "symbols", "hhi_low", "hhi_high"
    )
    verdicts = Readiness.objects.filter(week_ending=week_ending).order_by("use")
    return WeekState(
        inputs=sorted(snapshot.inputs.values_list("capture_id", flat=True)) if snapshot else [],
        venues=sorted(venues),
        market=sorted(market),
        symbols=symbols.of_snapshot(snapshot).collect().rows() if snapshot else [],
        readiness=[(v.use, v.state, [NUMBERED.sub("anomaly", reason) for reason in v.reasons]) for v in verdicts],
    )
