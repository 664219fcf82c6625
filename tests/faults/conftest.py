"""A fleet on PostgreSQL and Redis, and the run whose undisturbed end each fault is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline.engine import canvas
from pipeline.models import Run
from pipeline.runs.plan import plan_with
from pipeline.runs.request import Request
from pipeline.runs.sources import source_of
from pipeline.task_names import START_SCHEDULED
from tests.faults.begun import Beginnings
from tests.management.publications import DAY, OLDER_WEEK, WEEK
from tests.support.engines import Engines
from tests.support.fleet import HASTE, Fleet
from tests.support.ledger_state import LedgerState, check_all_runs_ended, check_consistent

REQUEST = Request(command="run_weekly", run_date=DAY, weeks=(WEEK, OLDER_WEEK))


@dataclass(frozen=True, slots=True)
class Work:
    """A run to disturb: one week to capture, one captured of which a tier is restated; and its undisturbed end."""

    fleet: Fleet
    request: Request
    end: LedgerState
    source: Path

    def launch(self) -> Run:
        """Write the run and send it to the fleet."""
        with self.fleet.sending():
            return canvas.launch(plan_with(self.request, source_of(self.request)))


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    """What is disturbed, found out once for each database."""
    return Beginnings(tmp_path_factory)


@pytest.fixture
def fleet(engines: Engines, redis_url: str, tmp_path: Path, settings: Settings) -> Iterator[Fleet]:
    """Worker processes to be started, on an empty PostgreSQL ledger and an empty Redis."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, value in HASTE.items():
        setattr(settings, name, int(value))
    with engines.using("postgresql") as ledger:
        started = Fleet(ledger.url, redis_url, logs)
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture
def work(fleet: Fleet, beginnings: Beginnings, archive_dir: Path, settings: Settings) -> Iterator[Work]:
    """The work that the tests disturb; after the test all is consistent, and every run has ended."""
    begun = beginnings.begin(archive_dir, settings)
    PeriodicTask.objects.filter(task=START_SCHEDULED).update(enabled=False)  # it may be 10:30 in New York just now
    yield Work(fleet, replace(REQUEST, origin=str(begun.source)), begun.end, begun.source)
    check_all_runs_ended()
    check_consistent()
