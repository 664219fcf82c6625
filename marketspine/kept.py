"""A worker's process keeps its connection to the ledger from task to task: Celery closes it before and after each.

A new one costs the process and PostgreSQL about 15 ms of processor, as much as all that a partition writes. One that has
ended meanwhile is found by Django's check before its first use in a task (CONN_HEALTH_CHECKS), and made anew.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.fixups import django
from django.db import close_old_connections, connection
from django.utils.functional import cached_property

KEPT_SECONDS = 60


class WorkerFixup(django.DjangoWorkerFixup):  # type: ignore[misc,name-defined]  # no part of the stubs
    """Celery's own care for Django in a worker, but for that."""

    def on_worker_process_init(self, **signal: Any) -> None:
        """A child of a pool begins. Threads keep none: they end with their command."""
        super().on_worker_process_init(**signal)
        connection.settings_dict["CONN_MAX_AGE"] = KEPT_SECONDS

    def close_database(self, **_signal: Any) -> None:
        """Before and after each task: close a connection that is broken or has been kept for long enough.

        A time limit may cut a task in the moment in which a transaction has begun and its block has not: nothing ends that
        transaction, and what later tasks write would be part of it.
        """
        if connection.in_atomic_block:
            connection.in_atomic_block = False  # Django closes none for good within a transaction
            connection.close()
        close_old_connections()


class Fixup(django.DjangoFixup):
    """Celery's, with that in its workers."""

    @cached_property
    def worker_fixup(self) -> WorkerFixup:
        """Made when it is asked for: it reads the settings."""
        return WorkerFixup(self.app)


def fixup(app: Celery) -> Fixup:
    """What Celery calls for its application."""
    installed = Fixup(app)
    installed.install()
    return installed
