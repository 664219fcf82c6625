"""A worker's process keeps its connection to the ledger from task to task, and makes one anew that has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from marketspine.celery import app
from marketspine.kept import WorkerFixup
from pipeline.models import Run
from tests.support.engines import Engines


class Task:
    """As much of a Celery task as its signals have."""

    class request:  # noqa: N801 # Celery's name
        is_eager = False


@pytest.fixture
def process(engines: Engines) -> Iterator[WorkerFixup]:
    """A process of a worker on PostgreSQL, as it begins."""
    with engines.using("postgresql"):
        begun = WorkerFixup(app)
        begun.on_worker_process_init()
        yield begun
        connection.settings_dict["CONN_MAX_AGE"] = 0
        connection.close()


def backend_of_a_task(process: WorkerFixup) -> int:
    """Have a task done that asks the ledger; the number of PostgreSQL's process that answered."""
    process.on_task_prerun(Task())
    assert not Run.objects.exists()
    backend = connection.connection.info.backend_pid
    process.on_task_postrun(Task())
    return int(backend)


def test_tasks_of_a_process_share_a_connection(process: WorkerFixup) -> None:
    assert backend_of_a_task(process) == backend_of_a_task(process)


def test_a_connection_that_postgresql_ended_is_made_anew(process: WorkerFixup) -> None:
    ended, other = backend_of_a_task(process), connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
    other.close()
    assert backend_of_a_task(process) != ended


def test_the_workers_of_the_application_have_it() -> None:
    assert [type(fixup.worker_fixup) for fixup in app._fixups] == [WorkerFixup]  # type: ignore[attr-defined] # Celery's own


def test_a_transaction_that_a_cut_task_leaves_ends_with_it(process: WorkerFixup) -> None:
    process.on_task_prerun(Task())
    transaction.atomic().__enter__()
    process.on_task_postrun(Task())
    backend_of_a_task(process)
    assert not connection.in_atomic_block


def test_a_connection_is_kept_for_a_time_only(process: WorkerFixup) -> None:
    first = backend_of_a_task(process)
    connection.close_at = 0.0
    assert backend_of_a_task(process) != first
