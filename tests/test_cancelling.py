"""Cancelling a run: what has not started does not start, what is under way finishes, and the run ends."""

from __future__ import annotations

import pytest

from pipeline import runs, steps
from pipeline.calendar import PartitionKey
from pipeline.models import Calculation, Capture, Outcome, Run, RunStatus
from pipeline.planning import Request, make_plan
from pipeline.runs import HasEnded
from pipeline.sources.base import Payload
from tests.commands.calling import call
from tests.commands.publications import DAY, OLDER_WEEK, OTC, TIER_1, TIER_2, WEEK, content
from tests.engines import Ledger
from tests.sources_in_memory import MemorySource

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
    return runs.start(make_plan(REQUEST, {TIER_1, TIER_2, OTC}))


def test_a_run_of_which_nothing_has_started_ends_at_once(ledger: Ledger) -> None:
    run = begin()

    assert runs.cancel(run, by="ops", reason="wrong range") == 6

    assert (run.status, run.cancelled_by, run.cancel_reason) == (RunStatus.CANCELLED, "ops", "wrong range")
    assert set(run.partitions.values_list("outcome", "reason")) == {(Outcome.CANCELLED, TOLD)}
    assert set(run.weeks.values_list("calculation", "reason")) == {(Calculation.SKIPPED, TOLD)}


def test_what_is_under_way_finishes_and_its_week_is_closed(ledger: Ledger, source: MemorySource) -> None:
    run = begin()

    class Cancelled(MemorySource):
        def fetch(self, key: PartitionKey) -> Payload:
            assert runs.cancel(run, by="ops") == 5
            assert run.status == RunStatus.RUNNING
            return source.fetch(key)

    steps.process(run.partitions.earliest("pk").pk, "one:1:a", Cancelled())

    assert Capture.objects.get().partition.key == TIER_1
    assert runs.close_week(run, WEEK)
    assert runs.settle(run)
    assert run.status == RunStatus.CANCELLED
    outcomes = list(run.partitions.values_list("outcome", flat=True))
    assert outcomes == [Outcome.INGESTED, *[Outcome.CANCELLED] * 5]
    assert run.weeks.get(week_ending=WEEK).calculation == Calculation.COMPUTED


def test_a_run_that_was_interrupted_ends_cancelled_and_is_not_gone_on_with(
    ledger: Ledger, source: MemorySource
) -> None:
    run = begin()
    steps.process(run.partitions.earliest("pk").pk, "one:1:a", source)
    runs.interrupt(run)

    assert runs.cancel(run, by="ops") == 5

    assert run.status == RunStatus.CANCELLED
    assert not run.weeks.filter(closed_at__isnull=True).exists()
    assert runs.unfinished(make_plan(REQUEST, set())) is None


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_has_ended_is_not_cancelled(ledger: Ledger, status: RunStatus) -> None:
    run = begin()
    runs.move(run, status)
    with pytest.raises(HasEnded, match=f"run {run.pk} has ended already: {status}"):
        runs.cancel(run, by="ops")
    assert run.cancelled_at is None


def test_a_partition_that_was_cancelled_is_not_worked_on(ledger: Ledger, source: MemorySource) -> None:
    run = begin()
    runs.cancel(run, by="ops")
    assert steps.process(run.partitions.earliest("pk").pk, "one:1:a", source) is None
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
    runs.cancel(run, by="ops")
    ended, unknown = call("cancel_run", run.pk), call("cancel_run", 99)
    assert (ended.code, unknown.code) == (2, 2)
    assert f"run {run.pk} has ended already: CANCELLED" in ended.err
    assert "there is no run 99" in unknown.err
