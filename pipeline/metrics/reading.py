"""One reading of the ledger: all figures in one read-only transaction, with a limit of time."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.db import Error, connection, transaction
from django.utils import timezone

from marketspine import schema
from pipeline import VERSION
from pipeline.metrics import (
    anomalies,
    backups,
    captures,
    counters,
    engine,
    keeping,
    notices,
    partitions,
    people,
    runs,
    schedules,
)
from pipeline.metrics.samples import Sample, instant, sample

logger = logging.getLogger(__name__)

STATEMENT_MS = 5_000
PARTS: tuple[Callable[[datetime], Iterator[Sample]], ...] = (
    runs.read,
    partitions.read,
    captures.read,
    anomalies.read,
    schedules.read,
    engine.read,
    keeping.read,
    backups.read,
    people.read,
    notices.read,
    counters.read,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """All samples: those of the ledger, as of `read_at`, and those of now. `is_up`: the ledger could be read."""

    of_ledger: tuple[Sample, ...] = ()
    of_now: tuple[Sample, ...] = ()
    read_at: datetime | None = None
    is_up: bool = False

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All of them."""
        up = sample("ledger_up", self.is_up)
        return (*self.of_now, up, *self.of_ledger, *instant("ledger_read_timestamp_seconds", self.read_at))


def read(before: Reading) -> Reading:
    """A new reading. While the ledger cannot be read its last figures stay, so that an alert that fires does not end."""
    now, started = timezone.now(), time.monotonic()
    pending: list[Sample] = []
    try:
        with read_only():
            pending.append(sample("migrations_pending", schema.pending()))
            of_ledger = tuple(one for part in PARTS for one in part(now))
    except Exception as error:  # if it escaped, build_info and ledger_up would be missing as well
        bug = None if isinstance(error, Error | OSError) else error
        logger.error("the metrics cannot be read: %s: %s", type(error).__name__, error, exc_info=bug)
        return Reading(before.of_ledger, (_build(), *pending, *engine.read_broker()), before.read_at)
    duration = sample("ledger_read_duration_seconds", time.monotonic() - started)
    return Reading(of_ledger, (_build(), *pending, duration, *engine.read_broker()), now, is_up=True)


@contextmanager
def read_only() -> Iterator[None]:
    """A read-only transaction on one state of the ledger, which keeps no other process from writing."""
    if connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS}")
            yield
        return
    sqlite: Any = connection
    sqlite.ensure_connection()
    mode = sqlite.transaction_mode  # IMMEDIATE would wait for writers, and make them wait
    sqlite.transaction_mode = "DEFERRED"
    try:
        _only_query(is_on=True)
        with transaction.atomic():
            yield
    finally:
        sqlite.transaction_mode = mode
        _only_query(is_on=False)


def _only_query(*, is_on: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA query_only = {int(is_on)}")


def _build() -> Sample:
    return sample(
        "build_info",
        1,
        version=VERSION,
        python=platform.python_version(),
        database=connection.vendor,
        engine="distributed" if engine.is_distributed() else "embedded",
        source=settings.MARKETSPINE_SOURCE,
        storage=type(storages["default"]).__name__,
    )
