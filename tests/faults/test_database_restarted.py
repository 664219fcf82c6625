"""PostgreSQL restarted in the midst of a run: tried again, by the workers and by who waits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from pipeline.models import RunStatus
from tests import servers
from tests.engines import PostgreSQLLedger, as_default, migrated
from tests.faults.conftest import Work
from tests.faults.extent import EVERYTHING
from tests.faults.stopping import stopped_worker
from tests.fleet import HASTE, Fleet
from tests.ledger_state import ledger_state

POINTS = ("captures.make before 2", "vintages.store after 2", "analytics.calculate_week after 1")
SHUTDOWNS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
CASES = [(point, how) for point in POINTS for how in SHUTDOWNS]


@pytest.fixture
def database() -> Iterator[servers.PostgreSQL]:
    """A PostgreSQL of the test's own, which keeps what it has committed."""
    with servers.postgresql("wal_level = minimal\nmax_wal_senders = 0\njit = off\n") as started:
        yield started


@pytest.fixture
def fleet(
    database: servers.PostgreSQL, redis_url: str, tmp_path: Path, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Fleet]:
    """A fleet on it."""
    (tmp_path / "logs").mkdir()
    for name, value in HASTE.items():
        setattr(settings, name, int(value))
    with django_db_blocker.unblock():
        ledger = migrated(PostgreSQLLedger(database.url))
        with as_default(ledger):
            started = Fleet(ledger.url, redis_url, tmp_path / "logs")
            try:
                yield started
            finally:
                started.stop()


@pytest.mark.promise(9)
@pytest.mark.parametrize(("point", "how"), CASES if EVERYTHING else CASES[1:3])
def test_a_restart_in_the_midst_of_a_run_is_tried_again(
    fleet: Fleet, work: Work, database: servers.PostgreSQL, point: str, how: str
) -> None:
    run = work.launch()
    with stopped_worker(fleet, point):
        database.restart(SHUTDOWNS[how])
        connection.close()

    fleet.heal(run)

    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end
