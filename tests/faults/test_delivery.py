"""Messages delivered twice, bodies early, late and twice, results evicted: each piece of work is done once."""

from __future__ import annotations

import pytest
from celery import current_app
from redis import Redis

from pipeline import task_names
from pipeline.models import AnalyticsSnapshot, Capture, Manifest, Run, RunStatus, Stage
from tests.faults.conftest import Work
from tests.faults.stopping import stopped_worker
from tests.management.publications import OLDER_WEEK, WEEK
from tests.support.fleet import Fleet
from tests.support.ledger_state import ledger_state

QUEUES = ("ingest", "calc", "control")
RESULTS = ("celery-task-meta-*", "celery-taskset-meta-*", "chord-*", "*.j", "*.t", "*.s")


def check_each_piece_was_done_once(run: Run, work: Work) -> None:
    """One attempt at each partition, and nothing captured or computed but what an undisturbed run does."""
    assert run.status == RunStatus.SUCCEEDED
    assert set(run.partitions.values_list("attempts", flat=True)) == {1}
    assert Capture.objects.filter(run=run).count() == 4
    assert Manifest.objects.filter(run=run, stage=Stage.NORMALIZED).count() == 4
    assert AnalyticsSnapshot.objects.count() == 3
    assert ledger_state() == work.end


def queued(client: Redis) -> list[str]:
    """The lists in which messages wait: a queue has one for each priority, ingest and ingest:3."""
    return [str(name) for name in client.scan_iter("*", _type="list") if str(name).partition(":")[0] in QUEUES]


def connected(url: str) -> Redis:
    """A client that speaks text."""
    return Redis.from_url(url, decode_responses=True)


@pytest.mark.promise(10)
def test_messages_delivered_twice_do_each_piece_once(fleet: Fleet, work: Work, redis_url: str) -> None:
    run = work.launch()
    with connected(redis_url) as client:
        for name in queued(client):
            messages = client.lrange(name, 0, -1)
            assert isinstance(messages, list)
            assert len(messages) == 6
            client.rpush(name, *messages)
    for _ in range(2):
        fleet.worker()

    fleet.heal(run)

    check_each_piece_was_done_once(run, work)


@pytest.mark.promise(10)
def test_bodies_that_come_early_late_and_twice_close_each_week_once(fleet: Fleet, work: Work) -> None:
    run = work.launch()
    closing = [(run.pk, str(week)) for week in (WEEK, OLDER_WEEK)] * 2
    send(fleet, closing)
    fleet.worker()
    fleet.heal(run)
    closed = list(run.weeks.values_list("closed_at", "calculation"))

    send(fleet, closing)
    after = work.launch()  # behind them in the queue
    fleet.heal(after)

    assert list(run.weeks.values_list("closed_at", "calculation")) == closed
    check_each_piece_was_done_once(run, work)


def send(fleet: Fleet, closing: list[tuple[int, str]]) -> None:
    """Send bodies without their chords."""
    with fleet.sending():
        for run_id, week in closing:
            current_app.send_task(task_names.CLOSE_WEEK, (run_id, week))


@pytest.mark.promise(9)
def test_results_and_counters_that_are_evicted_are_not_needed(fleet: Fleet, work: Work, redis_url: str) -> None:
    run = work.launch()
    with stopped_worker(fleet, "commit.before 2"), connected(redis_url) as client:
        evicted = [name for pattern in RESULTS for name in client.scan_iter(pattern)]
        assert evicted
        client.delete(*evicted)

    fleet.heal(run)

    check_each_piece_was_done_once(run, work)
