"""The n-th call of a run fails, for n = 1, 2, 3 ... until a run is clean: nothing is half done, and the next run heals.

The run restates one partition, captures another for the first time, and meets a third that is not due yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from django.db import OperationalError
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.base import Source, SourceError
from pipeline.models import Anomaly, Capture, Category, Outcome, Run
from pipeline.resilience import connections
from pipeline.runs import in_process, lifecycle, liveness, recovery
from pipeline.runs.plan import make_plan, target_keys
from pipeline.runs.request import Request
from pipeline.vintages import archive
from pipeline.weeks import readiness
from tests.faults.breaking import BreakingSource, Fault, breaking_database, breaking_storage
from tests.faults.extent import EVERYTHING, SEED, spread
from tests.faults.prepared import Prepared
from tests.management.publications import DAY, NEWER_WEEK, content
from tests.support.engines import Ledger
from tests.support.ledger_state import (
    LedgerState,
    PartitionState,
    check_all_runs_ended,
    check_consistent,
    ledger_state,
    partition_states,
)
from tests.support.sources_in_memory import MemorySource

pytestmark = pytest.mark.usefixtures("few_rows")

HELD = PartitionKey(NEWER_WEEK, Tier.NMS_TIER_1)
FIRST = PartitionKey(date(2025, 11, 21), Tier.NMS_TIER_1)
RESTATED = (
    ("AAPL", "UBSA", "101", 3),
    ("NEWW", "SGMT", "7.5", 1),
    ("MSFT", "UBSA", "25.25", 1),
    ("ZZZZ", "SGMT", "4", 1),
)
REQUEST = Request(
    command="run_weekly",
    run_date=DAY,
    tiers=(Tier.NMS_TIER_1, Tier.OTC),
    weeks=(HELD.week_ending, FIRST.week_ending),
)
# Every call with FAULTS=all, else some: drawn by chance, every STEP-th from there on.
STEP = 4 if EVERYTHING else 24
SOMEWHERE = int(SEED) % 4
FIRSTS = [1, 2, 3, 4] if EVERYTHING else [1 + SOMEWHERE]
INCIDENTS = (Category.INTERNAL, Category.FETCH_FAILED, Category.CALC_FAILED)


@pytest.fixture(autouse=True)
def _storage(settings: Settings, archive_dir: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "tests.faults.breaking.BreakingStorage", "OPTIONS": {"location": str(archive_dir)}},
    }


def weekly(source: Source, request: Request = REQUEST) -> Run:
    """What `run_weekly` does, without its output."""
    plan = make_plan(request, source.available(target_keys(request)))
    recovery.requeue_dead()
    with liveness.working() as worker:
        return in_process.execute(lifecycle.resumable(plan, worker) or lifecycle.start(plan, worker), source)


def published() -> MemorySource:
    """A ledger that holds one partition, and a source that has it restated and another one new."""
    source = MemorySource()
    source.publish(HELD, content(HELD))
    weekly(source, replace(REQUEST, weeks=(HELD.week_ending,), tiers=(HELD.tier,)))
    source.publish(HELD, content(HELD, RESTATED))
    source.publish(FIRST, content(FIRST))
    return source


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A ledger to start from, its partitions before the run, and all of it after a run that nothing disturbed."""

    source: MemorySource
    start: Prepared
    before: dict[PartitionKey, PartitionState]
    after: LedgerState


@pytest.fixture
def undisturbed(ledger: Ledger, archive_dir: Path) -> Undisturbed:
    """Found out by a run without faults."""
    source = published()
    start, before = Prepared(archive_dir), partition_states()
    run = weekly(source)
    outcomes = [step.outcome for step in run.partitions.all()]
    assert outcomes == [Outcome.RESTATED, Outcome.NOT_YET_DUE, Outcome.INGESTED, Outcome.NOT_YET_DUE]
    check_consistent()
    return Undisturbed(source, start, before, ledger_state())


def resolve_incidents() -> None:
    """A person's word on what the fault left: only then is the week ready again."""
    for anomaly in Anomaly.objects.open().filter(category__in=INCIDENTS):
        anomaly.resolve(by="test", note="the fault is mended")
        week = anomaly.concerns_week
        assert week is not None
        readiness.decide_week(week, DAY)


def check_nothing_is_half_done(expected: Undisturbed) -> None:
    """Promises 1, 3 and 4: each partition is as before or as after, and what it holds adds up."""
    found = partition_states()
    for key, after in expected.after.partitions.items():
        assert found.get(key) in (expected.before.get(key), after), key


def check_next_run_heals(expected: Undisturbed) -> None:
    """A run without faults brings the ledger to where an undisturbed one is, and leaves no run under way."""
    weekly(expected.source)
    resolve_incidents()
    for capture in Capture.objects.all():
        archive.get(capture.payload_sha256)
    assert ledger_state() == expected.after
    check_all_runs_ended()


@contextmanager
def ended_by_the_fault() -> Iterator[None]:
    """A run that cannot write what became of it, or a week's figures, ends with the fault itself: exit code 2 reports it."""
    with suppress(OperationalError, SourceError, OSError):
        yield


def fail_each_call(
    attempt: Callable[[Source, Fault], None],
    expected: Undisturbed,
    *,
    lasting: bool = False,
    first: int = 1,
    step: int = 1,
) -> int:
    """Let call after call fail until a run is clean, checking each time; how many calls a clean run makes."""
    at = first
    while True:
        expected.start.restore()
        fault = Fault(at, lasting=lasting)
        with ended_by_the_fault():
            attempt(expected.source, fault)
        check_nothing_is_half_done(expected)
        check_next_run_heals(expected)
        if not fault.was_reached:
            return fault.calls
        at += step


def with_source(source: Source, fault: Fault) -> None:
    """A run whose source fails."""
    weekly(BreakingSource(source, fault))


def with_storage(source: Source, fault: Fault) -> None:
    """A run whose archive fails."""
    with breaking_storage(fault):
        weekly(source)


def with_database(source: Source, fault: Fault) -> None:
    """A run whose database fails."""
    with breaking_database(fault):
        weekly(source)


@pytest.mark.promise(1, 3, 4)
def test_every_source_call_may_fail(undisturbed: Undisturbed) -> None:
    assert fail_each_call(with_source, undisturbed) == 3


@pytest.mark.promise(1, 3, 4)
def test_every_storage_call_may_fail(undisturbed: Undisturbed) -> None:
    step = 1 if EVERYTHING else 13
    assert fail_each_call(with_storage, undisturbed, first=1 + int(SEED) % step, step=step) >= 10


@pytest.mark.promise(1, 3, 4)
@pytest.mark.parametrize(("ledger", "first"), spread(FIRSTS), indirect=["ledger"])  # in parts, to be shared
def test_every_database_call_may_fail(undisturbed: Undisturbed, first: int) -> None:
    assert fail_each_call(with_database, undisturbed, first=first, step=STEP) > 60


@pytest.mark.promise(9)
def test_the_database_may_go_away_for_good_at_any_call(
    undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LONGEST_SECONDS", 0.0)  # for good: who waited for it has given up
    assert (
        fail_each_call(with_database, undisturbed, lasting=True, first=1 + SOMEWHERE, step=11 if EVERYTHING else 37)
        > 60
    )
