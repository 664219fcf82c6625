"""The two databases that every ledger test runs on, both built by `migrate`.

The product knows one alias, `default`. A test does not run in a transaction, since what it tests opens its own, calls
`on_commit` and uses threads: `default` points at the chosen database while the test runs, and the database is brought
back to what `migrate` left before each.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
import time_machine
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.utils import CursorWrapper
from pytest_django import DjangoDbBlocker

from marketspine.addresses import database
from pipeline.vintages.records import FOLDER
from tests.support import servers

ENGINES = ("sqlite", "postgresql")
LOCK_TIMEOUT = "10s"
PRISTINE = "pristine"
T = TypeVar("T")
Begin = Callable[[Callable[[Path], object]], None]


def cases(named: Mapping[str, T], is_for_each: Callable[[T], bool]) -> list[Any]:
    """Parameters ("ledger", ...): each case on SQLite, and on the other databases those that are for each."""
    return [
        pytest.param(engine, case, id=f"{engine}-{name}")
        for name, case in named.items()
        for engine in (ENGINES if is_for_each(case) else ENGINES[:1])
    ]


class Ledger(ABC):
    """One test database. `url` is its DATABASE_URL, for the processes that a test starts."""

    engine: str

    def __init__(self, url: str) -> None:
        self.url = url
        self.entry: dict[str, Any] = connections.configure_settings({"default": database(url)})["default"]

    @property
    @abstractmethod
    def template(self) -> str:
        """The name by which a copy of this one is made, while no connection is open."""

    @abstractmethod
    def keep(self, name: str = PRISTINE) -> None:
        """Keep what the database holds now, under a name; right after `migrate` under the usual one."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether something is kept under the name."""

    @abstractmethod
    def wipe(self, name: str = PRISTINE) -> None:
        """Bring the database back to what is kept: usually what `migrate` left. Not inside a transaction."""

    @abstractmethod
    def drop(self) -> None:
        """Remove the database."""


class SQLiteLedger(Ledger):
    """A file, since threads do not share an in-memory database. Wiping copies the migrated one over it, page by page.

    DELETE would run the triggers that forbid it, and leave the sequences.
    """

    engine = "sqlite"

    def __init__(self, path: Path, template: str = "") -> None:
        super().__init__(f"sqlite:///{path}")
        self.path = path
        if template:
            shutil.copy(template, path)

    @property
    def template(self) -> str:
        return str(self.path)

    def keep(self, name: str = PRISTINE) -> None:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(self._copy(name))])

    def holds(self, name: str) -> bool:
        return self._copy(name).exists()

    def _copy(self, name: str) -> Path:
        return self.path.with_suffix(f".{name}")

    def wipe(self, name: str = PRISTINE) -> None:
        connection.ensure_connection()
        source = sqlite3.connect(self._copy(name))
        try:
            source.backup(connection.connection, progress=_refuse_to_wait)
        finally:
            source.close()

    def drop(self) -> None:
        for path in self.path.parent.glob(f"{self.path.stem}.*"):
            path.unlink()


def _refuse_to_wait(status: int, _remaining: int, _total: int) -> None:
    """`backup` would wait for ever for a lock. The connection has waited its timeout already."""
    if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        raise RuntimeError("the test database is locked: a thread of the last test still writes")


class PostgreSQLLedger(Ledger):
    """A database of its own on the run's server. Wiping empties what was empty when it was kept, sequences as well.

    DELETE takes 5 ms where TRUNCATE takes 100, since that makes new files for every table and index. The replica role
    passes over triggers and foreign keys. Of what was filled there is a copy in a schema of its own, and only the rows
    that differ from it are written.
    """

    engine = "postgresql"

    def __init__(self, server_url: str, template: str = "") -> None:
        self.server_url = server_url
        self.name = f"marketspine_test_{uuid.uuid4().hex[:12]}"
        self._wiping: dict[str, list[str]] = {}
        self._on_server(f"CREATE DATABASE {self.name} TEMPLATE {template or 'template0'}")
        super().__init__(urlsplit(server_url)._replace(path=f"/{self.name}").geturl())

    @property
    def template(self) -> str:
        return self.name

    def keep(self, name: str = PRISTINE) -> None:
        with connection.cursor() as cursor:
            tables = connection.introspection.table_names(cursor)
            empty = [table for table in tables if _is_empty(cursor, table)]
            filled = [table for table in tables if table not in empty]
            cursor.execute(f'CREATE SCHEMA "{name}"')
            for table in filled:
                cursor.execute(f'CREATE TABLE "{name}"."{table}" AS TABLE public."{table}"')
            cursor.execute("SELECT format('%I', sequencename), last_value FROM pg_sequences")
            sequences = cursor.fetchall()
        self._wiping[name] = [
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'",
            "SET LOCAL session_replication_role = replica",
            *(f'DELETE FROM "{table}"' for table in empty),
            *(statement for table in filled for statement in _restoring(name, table)),
            *(f"SELECT setval('{sequence}', {last or 1}, {last is not None})" for sequence, last in sequences),
        ]

    def holds(self, name: str) -> bool:
        return name in self._wiping

    def wipe(self, name: str = PRISTINE) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("; ".join(self._wiping[name]))

    def drop(self) -> None:
        self._on_server(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _on_server(self, statement: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as server:
            server.execute(statement.encode())


def _restoring(name: str, table: str) -> tuple[str, str]:
    """Two statements that leave what the copy holds. Rows are compared as text: not every type knows equality."""
    here, copy = f'public."{table}"', f'"{name}"."{table}"'
    return (
        f"DELETE FROM {here} AS held WHERE held::text NOT IN (SELECT kept::text FROM {copy} AS kept)",
        f"INSERT INTO {here} SELECT * FROM {copy} AS held WHERE held::text NOT IN (SELECT kept::text FROM {here} AS kept)",
    )


def _is_empty(cursor: CursorWrapper, table: str) -> bool:
    cursor.execute(f'SELECT NOT EXISTS (SELECT FROM "{table}")')
    return bool(cursor.fetchone()[0])


class Engines:
    """The ledgers of one test process, each made when first used, in its own `directory`.

    `migrate` takes three seconds: the first process of a run that needs a ledger has it build a template in `shared`, the
    folder of all of them, and each copies that.
    """

    def __init__(self, directory: Path, shared: Path, blocker: DjangoDbBlocker) -> None:
        self._directory, self._shared = directory, shared
        self._blocker = blocker
        self._ledgers: dict[str, Ledger] = {}
        self._templates: dict[str, Ledger] = {}

    @contextmanager
    def using(self, engine: str) -> Iterator[Ledger]:
        """Let `default` be the wiped ledger of `engine`, in every thread, until the block ends."""
        with self._blocker.unblock():
            if engine not in self._ledgers:
                self._ledgers[engine] = self._copied(engine)
            ledger = self._ledgers[engine]
            with as_default(ledger):
                ledger.wipe()
                _forget_records()
                yield ledger

    def drop(self) -> None:
        """Remove what this process made. Another that needs a template later builds one."""
        for ledger in self._ledgers.values():
            ledger.drop()
        for engine, template in self._templates.items():
            with self._template_of(engine) as named:
                named.unlink()
                template.drop()

    def _copied(self, engine: str) -> Ledger:
        with self._template_of(engine) as named:
            if not named.exists():
                self._templates[engine] = built(_new(engine, self._shared))
                named.write_text(self._templates[engine].template)
            ledger = _new(engine, self._directory, named.read_text())
        return _kept(ledger)

    @contextmanager
    def _template_of(self, engine: str) -> Iterator[Path]:
        """The file that names the template, for this process alone: PostgreSQL copies no database that is connected to."""
        with (self._shared / f"{engine}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._shared / f"{engine}.template"


def _new(engine: str, directory: Path, template: str = "") -> Ledger:
    if engine == "sqlite":
        return SQLiteLedger(directory / "ledger.sqlite3", template)
    if engine == "postgresql":
        return PostgreSQLLedger(servers.database_url(), template)
    raise ValueError(f"unknown engine {engine!r}: one of {', '.join(ENGINES)}")


def migrated(ledger: Ledger) -> Ledger:
    """The ledger, built by `migrate`, and kept so."""
    return _kept(built(ledger))


def _kept(ledger: Ledger) -> Ledger:
    with as_default(ledger):
        ledger.keep()
    return ledger


def built(ledger: Ledger) -> Ledger:
    """The ledger, built at the real time, whatever time a test has: its schedules owe no slot before it."""
    try:
        with time_machine.travel(_real_time()), as_default(ledger):
            call_command("migrate", verbosity=0, interactive=False)
    except BaseException:
        ledger.drop()
        raise
    return ledger


def _real_time() -> float:
    """Now, whatever time a test has: the way out of a journey is there only while one is under way."""
    hatch = time_machine.escape_hatch
    return hatch.time.time() if hatch.is_travelling() else time.time()


_in_use: list[Ledger] = []


@contextmanager
def as_default(ledger: Ledger) -> Iterator[None]:
    """Django reads the entry when a thread first connects; this thread's open connection makes way for it."""
    before = connections.settings["default"]
    _in_use.append(ledger)
    _set_default(ledger.entry)
    try:
        yield
    finally:
        _set_default(before)
        _in_use.pop()


def _set_default(entry: dict[str, Any]) -> None:
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = entry


def wipe() -> None:
    """Bring the database in use back to what `migrate` left: between the examples of a hypothesis test, say."""
    if not _in_use:
        raise RuntimeError("no test database is in use: only a test with the `ledger` fixture may wipe")
    _in_use[-1].wipe()
    _forget_records()


def _forget_records() -> None:
    """A ledger that is empty again is no ledger that lost its captures: the archive, too, knows of none."""
    shutil.rmtree(default_storage.path(FOLDER), ignore_errors=True)
