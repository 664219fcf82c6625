"""Cancelling a run: what has not started does not start, what is under way finishes, and the run ends."""

from __future__ import annotations

import pytest

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload
from pipeline.models import Calculation, Capture, Outcome, Run, RunStatus
from pipeline.runs import close_week, lifecycle, process_partition
from pipeline.runs.lifecycle import HasEnded
from pipeline.runs.plan import make_plan
from pipeline.runs.process_partition import Done
from pipeline.runs.request import Request
from tests.management.calling import call
from tests.management.publications import DAY, OLDER_WEEK, OTC, TIER_1, TIER_2, WEEK, content
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

REQUEST = Request(command="backfill", run_date=DAY, weeks=(WEEK, OLDER_WEEK))
TOLD = "cancelled by ops before it started: wrong range"


@pytest.fixture
def source() -> MemorySource:
    """A source with one week."""
    published = MemorySource()
    for key in (TIER_1, TIER_2, OTC):
        published.publish(key, content(key))
    return published


def begin() -> Run:
    """A run over two weeks."""
    return lifecycle.start(make_plan(REQUEST, {TIER_1, TIER_2, OTC}))


def test_a_run_of_which_nothing_has_started_ends_at_once(ledger: Ledger) -> None:
    run = begin()

    assert lifecycle.cancel(run, by="ops", reason="wrong range") == 6

    assert (run.status, run.cancelled_by, run.cancel_reason) == (RunStatus.CANCELLED, "ops", "wrong range")
    assert set(run.partitions.values_list("outcome", "reason")) == {(Outcome.CANCELLED, TOLD)}
    assert set(run.weeks.values_list("calculation", "reason")) == {(Calculation.SKIPPED, TOLD)}


def test_what_is_under_way_finishes_and_its_week_is_closed(ledger: Ledger, source: MemorySource) -> None:
    run = begin()

    class Cancelled(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            assert lifecycle.cancel(run, by="ops") == 5
            assert run.status == RunStatus.RUNNING
            return source.fetch(key)

    process_partition.process(run.partitions.earliest("pk").pk, "one:1:a", Cancelled())

    assert Capture.objects.get().partition.key == TIER_1
    assert close_week.close_week(run, WEEK)
    assert lifecycle.settle(run)
    assert run.status == RunStatus.CANCELLED
    outcomes = list(run.partitions.values_list("outcome", flat=True))
    assert outcomes == [Outcome.INGESTED, *[Outcome.CANCELLED] * 5]
    assert run.weeks.get(week_ending=WEEK).calculation == Calculation.COMPUTED


def test_an_interrupted_run_can_be_cancelled(ledger: Ledger, source: MemorySource) -> None:
    run = begin()
    process_partition.process(run.partitions.earliest("pk").pk, "one:1:a", source)
    lifecycle.interrupt(run)

    assert lifecycle.cancel(run, by="ops") == 5

    assert run.status == RunStatus.CANCELLED
    assert not run.weeks.filter(closed_at__isnull=True).exists()
    assert lifecycle.unfinished(make_plan(REQUEST, set())) is None


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_has_ended_is_not_cancelled(ledger: Ledger, status: RunStatus) -> None:
    run = begin()
    lifecycle.move(run, status)
    with pytest.raises(HasEnded, match=f"run {run.pk} has ended already: {status}"):
        lifecycle.cancel(run, by="ops")
    assert run.cancelled_at is None


def test_a_partition_that_was_cancelled_is_not_worked_on(ledger: Ledger, source: MemorySource) -> None:
    run = begin()
    lifecycle.cancel(run, by="ops")
    assert process_partition.process(run.partitions.earliest("pk").pk, "one:1:a", source) == Done()
    assert not Capture.objects.exists()


def test_the_command_says_what_it_did(ledger: Ledger) -> None:
    run = begin()
    ran = call("cancel_run", run.pk, "--reason", "wrong range", "--by", "ops")
    assert (ran.code, ran.lines) == (0, [f"Run {run.pk}: 6 of 6 partitions cancelled. It is CANCELLED."])


def test_the_command_as_one_document(ledger: Ledger) -> None:
    run = begin()
    assert call("cancel_run", run.pk, "--json").document == {"run": run.pk, "status": "CANCELLED", "cancelled": 6}


def test_the_command_refuses_what_cannot_be(ledger: Ledger) -> None:
    run = begin()
    lifecycle.cancel(run, by="ops")
    ended, unknown = call("cancel_run", run.pk), call("cancel_run", 99)
    assert (ended.code, unknown.code) == (2, 2)
    assert f"run {run.pk} has ended already: CANCELLED" in ended.err
    assert "there is no run 99" in unknown.err
