"""Databases to measure on, and the folder that payloads and vintage files go to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from tests.support.engines import Ledger, PostgreSQLLedger, SQLiteLedger, as_default
from tests.support.servers import postgresql

DURABLE = "jit = off\nshared_buffers = 512MB\nmax_wal_size = 4GB\n"  # fsync and commits as a production server has them


@contextmanager
def ledgers(folder: Path) -> Iterator[dict[str, Ledger]]:
    """A migrated database on each engine: PostgreSQL (started from its wheel, or TEST_DATABASE_URL) and SQLite."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(postgresql(DURABLE)).url
        databases: dict[str, Ledger] = {
            "postgresql": PostgreSQLLedger(url),
            "sqlite": SQLiteLedger(folder / "ledger.sqlite3"),
        }
        for ledger in databases.values():
            stack.callback(ledger.drop)
            with as_default(ledger):
                call_command("migrate", verbosity=0)
        yield databases


@contextmanager
def on_postgresql() -> Iterator[None]:
    """A migrated, empty database behind `default`, on PostgreSQL: started from its wheel, or TEST_DATABASE_URL."""
    with postgresql(DURABLE) as server:
        ledger = PostgreSQLLedger(os.environ.get("TEST_DATABASE_URL") or server.url)
        try:
            with as_default(ledger):
                call_command("migrate", verbosity=0)
                yield
        finally:
            ledger.drop()


@contextmanager
def stored_in(folder: Path | str) -> Iterator[None]:
    """For the time of the block, let payloads and vintage files be in this folder."""
    backend = "django.core.files.storage.FileSystemStorage"
    default = {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}
    with override_settings(STORAGES={**settings.STORAGES, "default": default}):
        yield
