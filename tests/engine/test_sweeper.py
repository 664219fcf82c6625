"""The sweeper brings to its end what nobody brings on: from the rows alone, and as often as it likes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from pipeline.engine import canvas, sweeper
from pipeline.engine.sweeper import Recovered
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus
from pipeline.runs import close_week, lifecycle, liveness, process_partition
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from tests.management.calling import call
from tests.management.publications import DAY, OTC, TIER_1, TIER_2, WEEK, content
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

pytestmark = pytest.mark.each_database

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK,))
NOTHING = Recovered([], 0, 0, 0, 0, [])


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs that were dispatched: no worker listens here."""
    dispatched: list[int] = []
    monkeypatch.setattr(canvas, "dispatch", dispatched.append)
    return dispatched


def begin(worker: str = "") -> Run:
    """A run of one week."""
    run = lifecycle.start(make_plan(REQUEST, {OTC}), worker)
    run.partitions.update(sent_at=timezone.now(), sendings=1)
    return run


def work_off(run: Run, ago: timedelta = timedelta()) -> None:
    """All partitions are done, since so long."""
    source = MemorySource()
    for key in (TIER_1, TIER_2, OTC):
        source.publish(key, content(key))
    for step in run.partitions.all():
        process_partition.process(step.pk, "one:1:a", source)
    run.partitions.update(finished_at=timezone.now() - ago)


def test_where_all_is_as_it_should_be_it_finds_nothing(ledger: Ledger) -> None:
    begin()
    assert sweeper.sweep() == NOTHING
    assert sweeper.sweep().found_nothing


@pytest.mark.promise(9)
def test_what_was_sent_too_long_ago_is_sent_again(ledger: Ledger, sent: list[int]) -> None:
    run = begin()
    lost = timezone.now() - timedelta(seconds=settings.MARKETSPINE_RESEND_AFTER_SECONDS + 1)
    run.partitions.update(sent_at=lost)

    assert sweeper.sweep().resent == 3

    assert run.partitions.filter(sent_at__isnull=True).count() == 3
    assert sent == [run.pk]


@pytest.mark.promise(9)
@pytest.mark.parametrize(("is_empty", "ago", "resent"), [(True, 11, 3), (False, 11, 0), (True, -60, 0)])
def test_what_waits_in_no_queue_is_resent_at_once(
    ledger: Ledger, sent: list[int], monkeypatch: pytest.MonkeyPatch, is_empty: bool, ago: int, resent: int
) -> None:
    monkeypatch.setattr(canvas, "is_queue_empty", lambda: is_empty)
    run = begin()
    run.partitions.update(sent_at=timezone.now() - timedelta(seconds=ago))

    assert sweeper.sweep().resent == resent

    assert run.partitions.filter(sent_at__isnull=True).count() == resent
    assert sent == [run.pk]


def test_what_another_process_holds_is_not_lost(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "is_queue_empty", lambda: True)
    with liveness.working() as worker:
        own = begin(worker)
        own.partitions.update(sent_at=timezone.now() - timedelta(seconds=11))
        assert sweeper.sweep().resent == 0
        assert sweeper.sweep(worker).resent == 3


@pytest.mark.promise(9)
def test_a_dead_workers_work_is_requeued_and_sent(ledger: Ledger, sent: list[int]) -> None:
    run = begin()
    with liveness.working() as worker:
        one = run.partitions.earliest("pk")
        RunPartition.objects.filter(pk=one.pk).update(
            status=PartitionStatus.RUNNING, worker=worker, heartbeat_at=timezone.now(), attempts=1
        )

    assert sweeper.sweep().requeued == 1

    assert sent == [run.pk]


@pytest.mark.promise(9)
@pytest.mark.parametrize(("seconds", "closed"), [(-60, 0), (11, 1)])
def test_a_finished_week_is_closed_after_its_time(ledger: Ledger, seconds: int, closed: int) -> None:
    run = begin()
    work_off(run, timedelta(seconds=seconds))

    swept = sweeper.sweep()

    assert (swept.closed, swept.ended) == (closed, [run.pk] * closed)
    run.refresh_from_db()
    assert run.status == (RunStatus.SUCCEEDED if closed else RunStatus.RUNNING)


@pytest.mark.promise(9)
def test_a_run_whose_weeks_are_closed_is_ended(ledger: Ledger) -> None:
    run = begin()
    work_off(run)
    assert close_week.close_week(run, WEEK)

    assert sweeper.sweep() == Recovered([], 0, 0, 0, 0, [run.pk])
    assert sweeper.sweep() == NOTHING


@pytest.mark.promise(9)
def test_a_dead_commands_run_is_interrupted_not_sent(ledger: Ledger, sent: list[int]) -> None:
    with liveness.working() as worker:
        run = begin(worker)
        assert sweeper.sweep() == NOTHING

    assert sweeper.sweep() == Recovered([run.pk], 0, 0, 0, 0, [])

    assert sent == []
    run.refresh_from_db()
    assert run.status == RunStatus.INTERRUPTED


def test_a_command_sends_what_is_its_own(ledger: Ledger, sent: list[int]) -> None:
    begin()
    with liveness.working() as worker:
        own = begin(worker)
        sweeper.sweep(worker)
    assert sent == [own.pk]


def test_the_command_says_that_nothing_is_stalled(ledger: Ledger) -> None:
    ran = call("recover_runs")
    assert (ran.code, ran.lines) == (0, ["Nothing is stalled."])


def test_the_command_says_what_it_found(ledger: Ledger) -> None:
    with liveness.working() as worker:
        died = begin(worker)
        RunPartition.objects.filter(pk=died.partitions.earliest("pk").pk).update(
            status=PartitionStatus.RUNNING, worker=worker, heartbeat_at=timezone.now(), attempts=1
        )
    ran = call("recover_runs", "--json")
    assert ran.code == 0
    assert ran.document == {
        "interrupted": [died.pk],
        "requeued": 0,
        "failed": 0,
        "resent": 0,
        "closed": 0,
        "ended": [],
    }
