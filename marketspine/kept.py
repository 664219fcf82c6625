"""A worker's process keeps its connection to the ledger from task to task, where Celery would close it around each.

A new one costs the process and PostgreSQL about 15 ms of processor time, as much as all writes of a partition. Django
checks a kept one before its first use in a task (CONN_HEALTH_CHECKS), and makes it anew when it has ended.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.fixups import django
from django.db import close_old_connections, connection
from django.utils.functional import cached_property

KEPT_SECONDS = 60


class WorkerFixup(django.DjangoWorkerFixup):  # type: ignore[misc,name-defined]  # no part of the stubs
    """Celery's fixup of Django in a worker, except that connections are kept."""

    def on_worker_process_init(self, **signal: Any) -> None:
        """Keep connections in a child of a pool. Threads keep none: they end with their command."""
        super().on_worker_process_init(**signal)
        connection.settings_dict["CONN_MAX_AGE"] = KEPT_SECONDS

    def close_database(self, **_signal: Any) -> None:
        """Before and after each task: close a connection that is broken or has been kept for long enough.

        A time limit may cut a task just after a transaction has begun, before its block has: nothing would end that
        transaction, and the writes of later tasks would become part of it.
        """
        if connection.in_atomic_block:
            connection.in_atomic_block = False  # within a transaction Django does not close it for good
            connection.close()
        close_old_connections()


class Fixup(django.DjangoFixup):
    """Celery's fixup of Django, with ours in its workers."""

    @cached_property
    def worker_fixup(self) -> WorkerFixup:
        """Made when it is asked for: it reads the settings."""
        return WorkerFixup(self.app)


def fixup(app: Celery) -> Fixup:
    """Install the fixup; Celery calls it with its application."""
    installed = Fixup(app)
    installed.install()
    return installed
