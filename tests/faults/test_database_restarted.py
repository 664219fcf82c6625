"""PostgreSQL restarted in the midst of a run: tried again, by the workers and by who waits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from pipeline.engine import waiting
from pipeline.models import Run, RunStatus
from tests.faults.begun import RUN
from tests.faults.conftest import Work
from tests.faults.extent import EVERYTHING
from tests.faults.stopping import stopped_worker
from tests.management.calling import finish, start_in
from tests.support import servers
from tests.support.engines import PostgreSQLLedger, as_default, migrated
from tests.support.fleet import HASTE, Fleet
from tests.support.ledger_state import ledger_state

POINTS = (
    "commit.before 2",
    "rows.record.after 2",
    "week.calculate.after 1",
)
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


@pytest.mark.promise(9)
def test_a_waiting_command_outlives_a_database_that_is_away(
    fleet: Fleet, work: Work, database: servers.PostgreSQL
) -> None:
    command = start_in(fleet.environment(), "manage.py", *RUN, "--queue")
    assert command.stderr is not None
    with stopped_worker(fleet, "commit.before 2"):
        connection.close()
        database.shut_down(SHUTDOWNS["fast"])
        assert any(line.startswith(f"{waiting.AWAY}: ") for line in command.stderr)
        database.start()
        assert command.stderr.readline().rstrip() == waiting.BACK

    ended = finish(command)

    assert (ended.code, ended.err) == (0, ""), ended
    run = Run.objects.latest("pk")
    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end
