"""The embedded engine: a worker in this process that starts at once, stops at once, and loses nothing but messages."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone
from django_celery_results.models import TaskResult

from pipeline.engine import canvas, embedded, waiting
from pipeline.models import PartitionStatus, Run, RunPartition, RunStatus
from pipeline.resilience import stopping
from pipeline.runs import liveness, process_partition
from pipeline.runs.plan import plan_with
from pipeline.runs.request import Request
from pipeline.runs.sources import source_of
from tests.management.publications import DAY, WEEK, publish_week
from tests.support.engines import Ledger
from tests.support.failing import acting_at

PROMPT = 0.5  # seconds asleep; celery's own queue in memory takes four to stop, when nothing happens


@pytest.fixture
def request_(source_dir: Path) -> Request:
    """Three partitions to capture."""
    publish_week(source_dir)
    return Request(command="run_weekly", run_date=DAY, weeks=(WEEK,), origin=str(source_dir))


def work_off(request: Request) -> Run:
    """What a command does."""
    with liveness.working() as worker, embedded.engine() as sleep:
        run = canvas.launch(plan_with(request, source_of(request)), worker)
        return waiting.wait(run, lambda _step: None, worker, sleep=sleep)


@pytest.mark.promise(2)
def test_two_runs_after_another_in_one_process(ledger: Ledger, request_: Request) -> None:
    outcomes = []
    for _ in range(2):
        run = work_off(request_)
        assert run.status == RunStatus.SUCCEEDED
        outcomes.append(sorted(run.partitions.values_list("outcome", flat=True)))
    assert outcomes == [["INGESTED"] * 3, ["UNCHANGED"] * 3]


def test_the_end_of_a_task_wakes_what_waits_for_the_run(
    ledger: Ledger, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_POLL", 3600)
    assert work_off(request_).status == RunStatus.SUCCEEDED


def test_told_to_stop_while_nothing_happens_it_sleeps_no_longer(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = list[float]()

    def sleep(seconds: float) -> None:
        if stopping.is_ordered():
            slept.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr("kombu.transport.virtual.base.sleep", sleep)
    with embedded.engine():
        pass
    assert sum(slept) < PROMPT
    assert not [thread for thread in threading.enumerate() if thread.name == "worker"]


@pytest.mark.promise(9)
def test_told_to_stop_it_finishes_what_is_under_way_and_starts_nothing(
    ledger: Ledger, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        under_way.set()
        assert go_on.wait(30)

    def order() -> None:
        stopping.order()
        go_on.set()

    monkeypatch.setattr(embedded, "stopping", SimpleNamespace(order=order, withdraw=stopping.withdraw))
    with acting_at("perform.before", wait), embedded.engine():
        run = canvas.launch(plan_with(request_, source_of(request_)), "host:1:a")
        assert under_way.wait(30)

    assert sorted(run.partitions.values_list("status", flat=True)) == ["DONE", "PENDING", "PENDING"]


@pytest.mark.promise(9)
def test_a_header_task_that_raises_holds_up_no_run(
    ledger: Ledger, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then Celery never runs the body of the chord; who waits sweeps, and closes the week."""
    monkeypatch.setattr("pipeline.engine.sweeper.SWEEP_SECONDS", 0)
    monkeypatch.setattr("pipeline.engine.sweeper.LOST_AFTER", timedelta(0))
    finish = process_partition._finish

    def finish_and_raise(step: RunPartition, *arguments: object) -> None:
        finish(step, *arguments)  # type: ignore[arg-type]
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(process_partition, "_finish", finish_and_raise)

    run = work_off(request_)

    assert run.status == RunStatus.SUCCEEDED
    assert set(run.partitions.values_list("status", flat=True)) == {PartitionStatus.DONE}


def test_it_sends_to_itself_whatever_broker_the_environment_names(ledger: Ledger) -> None:
    current_app.conf.update(broker_url="redis://192.0.2.1:6379/0")
    with embedded.engine():
        assert current_app.connection().transport.driver_type == "memory"


def test_it_leaves_the_level_of_the_log_as_it_was(ledger: Ledger) -> None:
    logger = logging.getLogger("pipeline")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        with embedded.engine():
            assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)


def test_its_threads_leave_no_connection_behind(ledger: Ledger, request_: Request) -> None:
    if ledger.engine != "postgresql":
        pytest.skip("SQLite has no list of sessions")
    work_off(request_)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone() == (1,)


def test_results_of_former_days_are_removed(ledger: Ledger, request_: Request) -> None:
    work_off(request_)
    assert TaskResult.objects.count() == 4
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=2))

    work_off(request_)

    assert TaskResult.objects.count() == 4
