"""A source that takes longer to answer than PostgreSQL lets a connection idle; a connection lost with a payload in hand."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection
from django.db.models import QuerySet
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload
from pipeline.models import Anomaly, Capture, Outcome, RunPartition
from pipeline.runs import lifecycle, liveness, plan, process_partition
from pipeline.runs.process_partition import Done
from pipeline.runs.request import Request
from pipeline.vintages import holdings
from tests.management.publications import DAY, OTC, WEEK, content
from tests.support.engines import Engines
from tests.support.sources_in_memory import MemorySource

REQUEST = Request(command="run_weekly", run_date=DAY, tiers=(OTC.tier,), weeks=(WEEK,), source="memory")
IDLE, SLOW = "400ms", 1.0


class SlowSource(MemorySource):
    """A source that takes its time, and counts how often it is asked for a payload."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0
        self.publish(OTC, content(OTC))

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        time.sleep(SLOW)
        return super().available(keys)

    def fetch(self, key: PartitionKey) -> Payload:
        time.sleep(SLOW)
        self.fetched += 1
        return super().fetch(key)


@contextmanager
def idling_at_most(limit: str) -> Iterator[None]:
    """Have PostgreSQL end each connection to the test's database that idles so long."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])

    def have(words: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} {words}")
        connection.close()

    have(f"SET idle_session_timeout TO '{limit}'")
    try:
        yield
    finally:
        connection.close()
        have("RESET idle_session_timeout")


@pytest.fixture(autouse=True)
def _postgresql(engines: Engines, settings: Settings) -> Iterator[None]:
    settings.MARKETSPINE_RETRY_SECONDS = 1
    with engines.using("postgresql"):
        yield


def processed(source: MemorySource) -> RunPartition:
    """The partition of a run that was planned and worked on with the source."""
    planned = plan.plan_with(REQUEST, source)
    with liveness.working() as worker:
        run = lifecycle.start(planned, worker)
        step = run.partitions.get()
        assert process_partition.process(step.pk, worker, source, retries=True) == Done()
    step.refresh_from_db()
    return step


@pytest.mark.promise(9)
def test_a_fetch_longer_than_a_connection_may_idle_is_made_once() -> None:
    source = SlowSource()
    with idling_at_most(IDLE):
        step = processed(source)
    assert (step.outcome, step.attempts, source.fetched) == (Outcome.INGESTED, 1, 1)
    assert (Capture.objects.count(), Anomaly.objects.count()) == (1, 0)


@pytest.mark.promise(9)
@pytest.mark.parametrize("losses", [1, 2])
def test_what_was_fetched_is_not_fetched_again_for_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    made_of, lost = holdings.made_of, list[int]()

    def find_and_lose(payload: str | QuerySet[Capture, str]) -> list[Capture]:
        found = made_of(payload)
        if len(lost) < losses:
            connection.ensure_connection()
            lost.append(connection.connection.info.backend_pid)
            with psycopg.connect(
                connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"]
            ) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", lost[-1:])
        return found

    monkeypatch.setattr(holdings, "made_of", find_and_lose)
    source = SlowSource()
    step = processed(source)
    assert (step.outcome, step.attempts, source.fetched, len(lost)) == (Outcome.INGESTED, 1, 1, losses)
    assert (Capture.objects.count(), Anomaly.objects.count()) == (1, 0)
