"""One OTC partition, captured from rows in memory: what the tests of vintages, captures and ingest begin with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import time_machine
from django.core.files.storage import default_storage
from django.db import connections

from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Anomaly, Capture, Check
from pipeline.vintages import read
from tests.support.sources_in_memory import MemorySource
from tests.vintages.frames import text_of

WEEK = date(2025, 11, 14)
KEY = PartitionKey(WEEK, Tier.OTC)
DAY = date(2025, 12, 26)
NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
PATIENCE = 120
T = TypeVar("T")


def offered(
    source: MemorySource,
    lines: Iterable[str],
    *,
    key: PartitionKey = KEY,
    day: date = DAY,
    force: bool = False,
    normalize: bool = True,
) -> Result:
    """What becomes of the partition once the source has these lines for it."""
    source.publish_rows(key, lines)
    return ingest.ingest(key, source, Terms(run_date=day, force=force, normalize=normalize))


def captured(
    source: MemorySource,
    lines: Iterable[str],
    *,
    key: PartitionKey = KEY,
    day: date = DAY,
    force: bool = False,
    normalize: bool = True,
) -> Capture:
    """The capture that the lines become."""
    before = Capture.objects.count()
    result = offered(source, lines, key=key, day=day, force=force, normalize=normalize)
    assert result.capture is not None, result.reason
    assert Capture.objects.count() == before + 1, result.reason
    return result.capture


def hours_later(hours: int) -> time_machine.travel:
    """The clock stands still at so many hours after noon."""
    return time_machine.travel(NOON + timedelta(hours=hours), tick=False)


def latest() -> list[str]:
    """The rows of the partition's latest view."""
    return text_of(read.latest([KEY]))


def rows_at(capture: Capture) -> list[str]:
    """The rows of one vintage."""
    return text_of(read.of_capture(capture))


def counts(capture: Capture) -> tuple[int | None, ...]:
    """Rows added, changed, removed, unchanged."""
    return (capture.rows_added, capture.rows_changed, capture.rows_removed, capture.rows_unchanged)


def version(number: int) -> Capture:
    """The partition's capture of this number."""
    return Capture.objects.get(partition__week_ending=WEEK, partition__tier=KEY.tier, version=number)


def open_anomalies() -> list[tuple[str, str]]:
    """Severity and category of the open anomalies, in order."""
    return sorted(Anomaly.objects.open().values_list("severity", "category"))


def at_once(*acts: Callable[[], T]) -> list[T]:
    """What each act returns, each in a thread with a connection of its own."""
    results: dict[int, T] = {}

    def run(position: int, act: Callable[[], T]) -> None:
        try:
            results[position] = act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(position, act)) for position, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return [results[position] for position in range(len(acts))]


def vintage_files() -> list[str]:
    """The files in the storage's folder of vintages, by their names, in order."""
    return sorted(path.name for path in Path(default_storage.path("vintages")).rglob("*") if path.is_file())


def outcomes_seen(key: PartitionKey = KEY) -> list[str]:
    """What the looks at the source found, oldest first."""
    checks = Check.objects.filter(partition__week_ending=key.week_ending, partition__tier=key.tier)
    return list(checks.order_by("pk").values_list("outcome", flat=True))
