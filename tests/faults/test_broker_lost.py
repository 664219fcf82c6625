"""Redis killed and restarted empty, and Redis that is not there: nothing is lost but time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from marketspine.celery import app
from pipeline.models import PartitionStatus, Run, RunStatus
from tests.faults.conftest import Work
from tests.faults.stopping import stopped_worker
from tests.management.calling import finish, start_in
from tests.management.publications import DAY, OLDER_WEEK, WEEK
from tests.support import servers
from tests.support.fleet import Fleet
from tests.support.ledger_state import ledger_state

RUN = ("run_weekly", "--weeks", f"{WEEK},{OLDER_WEEK}", "--run-date", str(DAY), "--queue")
SEVERAL_SWEEPS = 240  # seconds
DEFAULT = {"MARKETSPINE_RESEND_AFTER_SECONDS": "300"}  # after which a run would have to end by other means


@pytest.fixture
def broker() -> Iterator[servers.Redis]:
    """A Redis of the test's own, to be killed."""
    with servers.redis() as started:
        yield started


@pytest.fixture
def redis_url(broker: servers.Redis) -> str:
    """Where the fleet of these tests finds it."""
    return broker.url


def command(fleet: Fleet, *words: str) -> subprocess.Popen[str]:
    """Start a command that sends to the fleet."""
    return start_in(fleet.environment(), "manage.py", *words)


def test_a_channel_whose_connection_was_given_up_says_that_it_is_lost(broker: servers.Redis) -> None:
    """Any other error than of a connection ends a worker while it closes what it had."""
    with app.connection_for_write(broker.url) as connection:
        channel: Any = connection.channel()
        connection.collect()
        channel._disconnect_pools()

        with pytest.raises(connection.connection_errors, match="given up"):
            channel._create_client()


@pytest.mark.promise(9)
def test_redis_restarted_empty_costs_a_run_nothing(fleet: Fleet, work: Work, broker: servers.Redis) -> None:
    run = work.launch()
    with stopped_worker(fleet, "commit.before 2"):
        broker.kill()
        broker.start()
        with redis.Redis.from_url(broker.url) as client:
            assert client.dbsize() == 0

    fleet.heal(run)

    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end


@pytest.mark.promise(9)
def test_an_unsent_run_waits_in_the_ledger(fleet: Fleet, work: Work, broker: servers.Redis) -> None:
    broker.kill()

    ran = finish(command(fleet, *RUN, "--no-wait", "--json"))

    run = Run.objects.latest("pk")
    assert (ran.code, json.loads(ran.out)) == (1, {"run": run.pk, "status": "RUNNING", "sent": False})
    assert f"The broker cannot be reached. Run {run.pk} is in the ledger, and is sent when it can be." in ran.err
    assert run.partitions.filter(status=PartitionStatus.PENDING, sent_at__isnull=True).count() == 6
    broker.start()
    fleet.worker()
    fleet.heal(run)
    assert ledger_state() == work.end


@pytest.mark.promise(9)
def test_a_waiting_command_outlives_a_broker_that_is_down(fleet: Fleet, work: Work, broker: servers.Redis) -> None:
    broker.kill()
    waiting = command(fleet, *RUN)
    assert waiting.stderr is not None
    assert any("The broker cannot be reached." in line for line in waiting.stderr)
    broker.start()
    fleet.worker()
    fleet.heal(Run.objects.latest("pk"))

    ran = finish(waiting)

    assert ran.code == 0, ran
    assert ledger_state() == work.end


@pytest.mark.promise(9)
def test_workers_alone_outlive_a_broker_that_died(fleet: Fleet, work: Work, broker: servers.Redis) -> None:
    run = work.launch()
    calc = fleet.worker(pool="prefork", queues="calc,control", **DEFAULT)
    with stopped_worker(fleet, "commit.before 2", **DEFAULT) as ingest:
        broker.kill()
        broker.start()

    fleet.wait_for(lambda: Run.objects.get(pk=run.pk).status != RunStatus.RUNNING, SEVERAL_SWEEPS)

    run.refresh_from_db()
    assert (run.status, ingest.poll(), calc.poll()) == (RunStatus.SUCCEEDED, None, None)
    assert ledger_state() == work.end


@pytest.mark.promise(9)
def test_an_emptied_queue_is_sent_again(fleet: Fleet, work: Work, broker: servers.Redis) -> None:
    run = work.launch()
    fleet.worker(pool="prefork", queues="calc,control", **DEFAULT)
    with stopped_worker(fleet, "commit.before 2", **DEFAULT), redis.Redis.from_url(broker.url) as client:
        client.flushall()

    fleet.wait_for(lambda: Run.objects.get(pk=run.pk).status != RunStatus.RUNNING, SEVERAL_SWEEPS)

    assert set(run.partitions.values_list("attempts", flat=True)) == {1}
    assert ledger_state() == work.end
