"""One partition of a run: claimed once, tried again where that may help, requeued where it stopped."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import SourceError, TransientSourceError, UnsafeSource
from pipeline.models import (
    Action,
    Anomaly,
    Category,
    Check,
    Outcome,
    PartitionStatus,
    Run,
    RunPartition,
    RunStatus,
    Severity,
)
from pipeline.resilience import connections, stopping
from pipeline.runs import claims, in_process, lifecycle, liveness, process_partition, recovery
from pipeline.runs.claims import BUSY
from pipeline.runs.plan import make_plan
from pipeline.runs.process_partition import Done, TryAgain
from pipeline.runs.request import Request
from tests.management.publications import DAY, OTC, WEEK, content
from tests.support.engines import Ledger
from tests.support.failing import failing_at
from tests.support.sources_in_memory import MemorySource

pytestmark = pytest.mark.each_database

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK,), tiers=(Tier.OTC,))
ELSEWHERE = "another-machine:1:abcd1234"
NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)


def begin(request: Request = REQUEST) -> RunPartition:
    """A run of one partition, on the queue."""
    return lifecycle.start(make_plan(request, {OTC})).partitions.get()


@pytest.fixture
def source() -> MemorySource:
    """A source that has the partition."""
    published = MemorySource()
    published.publish(OTC, content(OTC))
    return published


class Failing(MemorySource):
    """A source that answers with an error, and counts how often it was asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def fetch(self, key: PartitionKey) -> Payload:
        """Never."""
        self.asked += 1
        raise self.error


def again(step: RunPartition) -> RunPartition:
    """The row as it is now."""
    return RunPartition.objects.select_related("run", "partition").get(pk=step.pk)


@pytest.mark.promise(10)
def test_a_second_run_waits_and_finds_it_unchanged(ledger: Ledger, source: MemorySource) -> None:
    first, second = begin(), begin()
    found: list[Done | TryAgain] = []

    class Slow(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            found.append(process_partition.process(second.pk, "second:2:b", source))
            return source.fetch(key)

    assert process_partition.process(first.pk, "first:1:a", Slow()) == Done()
    assert found == [TryAgain(BUSY)]
    postponed = again(second)
    assert (postponed.status, postponed.attempts, postponed.sent_at) == (PartitionStatus.PENDING, 0, None)
    assert postponed.retry_at is not None

    assert process_partition.process(second.pk, "second:2:b", source) == Done()
    assert [again(first).outcome, again(second).outcome] == [Outcome.INGESTED, Outcome.UNCHANGED]


@pytest.mark.parametrize("status", [RunStatus.INTERRUPTED, RunStatus.CANCELLED])
def test_of_a_run_that_has_ended_nothing_is_started(ledger: Ledger, source: MemorySource, status: RunStatus) -> None:
    step = begin()
    lifecycle.move(step.run, status)

    assert process_partition.process(step.pk, "one:1:a", source) == Done()

    assert (again(step).status, again(step).attempts) == (PartitionStatus.PENDING, 0)


def test_a_passing_error_requeues_with_growing_waits(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_RETRY_SECONDS, settings.MARKETSPINE_MAX_ATTEMPTS = 10, 3
    step, source = begin(), Failing(TransientSourceError("HTTP 503"))
    for attempt, longest in ((1, 10), (2, 20)):
        with time_machine.travel(NOON, tick=False):
            found = process_partition.process(step.pk, "one:1:a", source, retries=True)

        assert isinstance(found, TryAgain)
        assert timedelta(seconds=longest / 2) <= found.after <= timedelta(seconds=longest)
        now = again(step)
        assert (now.status, now.attempts, now.outcome) == (PartitionStatus.PENDING, attempt, "")
        assert (now.retry_at, now.sent_at) == (NOON + found.after, None)
        assert not Anomaly.objects.exists()

    assert process_partition.process(step.pk, "one:1:a", source, retries=True) == Done()
    assert source.asked == 3
    assert (again(step).outcome, again(step).reason, again(step).attempts) == (Outcome.FAILED, "HTTP 503", 3)
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity, anomaly.occurrences) == (Category.FETCH_FAILED, Severity.WARN, 1)


def test_what_passes_is_captured_at_the_next_try(ledger: Ledger, source: MemorySource) -> None:
    step = begin()
    assert isinstance(
        process_partition.process(step.pk, "one:1:a", Failing(TransientSourceError("reset")), retries=True), TryAgain
    )
    assert process_partition.process(step.pk, "two:2:b", source, retries=True) == Done()
    assert (again(step).outcome, again(step).attempts) == (Outcome.INGESTED, 2)


def test_a_database_error_that_may_pass_is_tried_again(ledger: Ledger, source: MemorySource) -> None:
    step = begin()
    with failing_at("ingest.before", OperationalError("database is locked")):
        assert isinstance(process_partition.process(step.pk, "one:1:a", source, retries=True), TryAgain)
    assert process_partition.process(step.pk, "one:1:a", source, retries=True) == Done()
    assert again(step).outcome == Outcome.INGESTED


def test_a_full_disk_is_tried_again_and_told_without_a_traceback(
    ledger: Ledger,
    source: MemorySource,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.MARKETSPINE_MAX_ATTEMPTS = 2
    step = begin()
    with failing_at("file.flush.before", OSError(errno.ENOSPC, "No space left on device")):
        assert isinstance(process_partition.process(step.pk, "one:1:a", source, retries=True), TryAgain)
        assert process_partition.process(step.pk, "one:1:a", source, retries=True) == Done()

    told = again(step).reason
    assert told.startswith(settings.MARKETSPINE_ARCHIVE_DIR)
    assert told.endswith(
        ".parquet: No space left on device; the disk is full: free space on it, then the same command goes on"
    )
    assert [record.exc_info for record in caplog.records if record.levelname == "ERROR"] == [None]
    assert list(Check.objects.values_list("partition", "run", "outcome")) == [
        (step.partition_id, step.run_id, "FAILED")
    ]


@pytest.mark.parametrize(
    ("error", "category"), [(UnsafeSource("a device"), Category.FETCH_FAILED), (ValueError("a bug"), Category.INTERNAL)]
)
def test_any_other_error_fails_at_once(ledger: Ledger, error: SourceError, category: Category) -> None:
    step = begin()
    assert process_partition.process(step.pk, "one:1:a", Failing(error), retries=True) == Done()
    assert (again(step).outcome, again(step).attempts) == (Outcome.FAILED, 1)
    assert (Anomaly.objects.get().category, Anomaly.objects.get().severity) == (category, Severity.ERROR)


def test_a_partition_in_flight_elsewhere_is_skipped(ledger: Ledger) -> None:
    begin()
    plan = make_plan(REQUEST, {OTC}, skip_in_flight=True)
    assert [(step.action, step.reason) for step in plan.steps] == [(Action.SKIP, "run 1 has it in flight")]

    run = in_process.execute(lifecycle.start(plan), Failing(ValueError("never asked")))

    step = run.partitions.get()
    assert (step.outcome, step.reason) == (Outcome.CANCELLED, "skipped: run 1 has it in flight")
    assert run.status == RunStatus.SUCCEEDED


def test_who_works_for_long_shows_signs_of_life(ledger: Ledger, source: MemorySource, settings: Settings) -> None:
    settings.MARKETSPINE_STALE_AFTER_SECONDS = 0.3
    step = begin()
    seen: set[object] = set()

    class Slow(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            while len(seen) < 3:
                seen.add(again(step).heartbeat_at)
            return source.fetch(key)

    process_partition.process(step.pk, "one:1:a", Slow())

    assert again(step).outcome == Outcome.INGESTED


def under_way(worker: str, *, silent: float = 0, attempts: int = 1) -> RunPartition:
    """A partition that a worker has, whose last sign of life is so many seconds old."""
    step = begin()
    seen = timezone.now() - timedelta(seconds=silent)
    RunPartition.objects.filter(pk=step.pk).update(
        status=PartitionStatus.RUNNING, worker=worker, heartbeat_at=seen, attempts=attempts, sent_at=seen
    )
    return again(step)


@pytest.mark.promise(9)
def test_a_dead_local_processs_work_is_requeued_at_once(ledger: Ledger) -> None:
    with liveness.working() as worker:
        step = under_way(worker)
        assert recovery.requeue_stalled() == (0, 0)

    assert recovery.requeue_stalled() == (1, 0)

    assert (again(step).status, again(step).sent_at, again(step).attempts) == (PartitionStatus.PENDING, None, 1)


@pytest.mark.promise(9)
@pytest.mark.parametrize(("beyond", "taken"), [(-60, 0), (1, 1)])
def test_a_silent_machines_work_is_requeued(ledger: Ledger, beyond: int, taken: int) -> None:
    under_way(ELSEWHERE, silent=settings.MARKETSPINE_STALE_AFTER_SECONDS + beyond)
    assert recovery.requeue_stalled() == (taken, 0)


@pytest.mark.promise(9)
def test_what_killed_its_worker_too_often_fails_with_a_critical_anomaly(ledger: Ledger) -> None:
    step = under_way(ELSEWHERE, silent=10_000, attempts=settings.MARKETSPINE_MAX_ATTEMPTS)

    assert recovery.requeue_stalled() == (0, 1)

    told = "failed after 4 attempts: each time its worker died or hung"
    assert (again(step).outcome, again(step).reason) == (Outcome.FAILED, told)
    anomaly = Anomaly.objects.get()
    assert (anomaly.category, anomaly.severity, anomaly.message) == (Category.STALLED, Severity.CRITICAL, told)
    assert recovery.requeue_stalled() == (0, 0)


@pytest.mark.promise(10)
def test_two_sweeps_at_once_take_a_partition_back_once(ledger: Ledger) -> None:
    under_way(ELSEWHERE, silent=10_000, attempts=settings.MARKETSPINE_MAX_ATTEMPTS)
    found: list[tuple[int, int]] = []

    def sweep() -> None:
        found.append(recovery.requeue_stalled())
        connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [(0, 0), (0, 0), (0, 0), (0, 1)]
    assert Anomaly.objects.get().occurrences == 1


@pytest.mark.parametrize(
    ("sendings", "minutes", "resent"),
    [(1, 4, 0), (1, 6, 1), (2, 9, 0), (2, 11, 1), (3, 19, 0), (3, 21, 1), (99, 321, 1)],
)
def test_what_never_started_is_resent_after_growing_waits(
    ledger: Ledger, sendings: int, minutes: int, resent: int
) -> None:
    step = begin()
    sent = timezone.now() - timedelta(minutes=minutes)
    RunPartition.objects.update(sent_at=sent, sendings=sendings)

    assert recovery.resend_unstarted() == resent

    assert (again(step).sent_at is None) == bool(resent)


def test_of_an_ended_run_nothing_is_resent(ledger: Ledger) -> None:
    step = begin(replace(REQUEST, reason="stopped"))
    RunPartition.objects.update(sent_at=timezone.now() - timedelta(days=1), sendings=1)
    lifecycle.move(Run.objects.get(pk=step.run_id), RunStatus.INTERRUPTED)
    assert recovery.resend_unstarted() == 0


AWAY = OperationalError("server closed the connection unexpectedly")


@pytest.mark.promise(9)
@pytest.mark.parametrize(("module", "written"), [(claims, "claim"), (process_partition, "_finish")])
def test_waiting_for_the_database_costs_no_attempt(
    ledger: Ledger, source: MemorySource, monkeypatch: pytest.MonkeyPatch, module: ModuleType, written: str
) -> None:
    """The database goes away after it has committed, and before it could say so; then it is away for a while."""
    step, write, away = begin(), getattr(module, written), iter([AWAY, AWAY])
    monkeypatch.setattr(connections, "POLL_SECONDS", 0)

    def write_and_lose(*arguments: object) -> object:
        answer = write(*arguments)
        for error in away:
            raise error
        return answer

    monkeypatch.setattr(module, written, write_and_lose)

    assert process_partition.process(step.pk, "one:1:a", source) == Done()

    assert (again(step).outcome, again(step).attempts) == (Outcome.INGESTED, 1)


def test_a_stopping_process_claims_nothing(ledger: Ledger, source: MemorySource) -> None:
    step = begin()
    RunPartition.objects.update(sent_at=timezone.now())
    stopping.order()
    try:
        assert process_partition.process(step.pk, "one:1:a", source) == Done()
    finally:
        stopping.withdraw()
    assert (again(step).status, again(step).attempts, again(step).sent_at) == (PartitionStatus.PENDING, 0, None)
