"""What fails in the machine and the database is told with what to do, and with DATABASE_URL only where that may be wrong."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from psycopg import errors

from pipeline.finra.sources.base import UnsafeSource
from pipeline.resilience import failures
from pipeline.resilience.failures import database_sentence, explained

Fail = Callable[[sqlite3.Connection, Path], None]


def of(cause: Exception) -> OperationalError:
    """The error as Django raises it."""
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


def _locked(one: sqlite3.Connection, path: Path) -> None:
    one.execute("BEGIN IMMEDIATE")
    with closing(sqlite3.connect(path, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")


def _full(one: sqlite3.Connection, _path: Path) -> None:
    one.execute("PRAGMA max_page_count = 2")
    one.execute("INSERT INTO t VALUES (zeroblob(100000))")


def _read_only(one: sqlite3.Connection, _path: Path) -> None:
    one.execute("PRAGMA query_only = 1")
    one.execute("INSERT INTO t VALUES (1)")


def _no_database(_one: sqlite3.Connection, path: Path) -> None:
    text = path.with_name("text")
    text.write_text("FINRA|" * 1000)
    with closing(sqlite3.connect(text)) as other:
        other.execute("SELECT * FROM sqlite_master")


def _no_folder(_one: sqlite3.Connection, path: Path) -> None:
    sqlite3.connect(path / "nowhere").close()


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (
            _locked,
            "database is locked; another process keeps it locked: wait until that has ended, then the same command",
        ),
        (
            _full,
            "database or disk is full; the disk that holds it is full: free space on it, then the same command goes on",
        ),
        (_read_only, "attempt to write a readonly database; this user may not write to it"),
        (_no_database, "file is not a database; that file is no SQLite database: is DATABASE_URL right?"),
        (
            _no_folder,
            "unable to open database file; does its folder exist, and may this user write there? If not, is DATA",
        ),
    ],
)
def test_what_sqlite_says_is_told_with_what_to_do(tmp_path: Path, fail: Fail, told: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path, timeout=0)) as one:
        one.execute("CREATE TABLE t (x)")
        one.commit()
        with pytest.raises(sqlite3.Error) as raised:
            fail(one, path)

    for error in (of(raised.value), OperationalError(str(raised.value))):
        assert database_sentence(error).startswith(f"the database cannot be used: {told}")


RIGHT = "is DATABASE_URL right?"


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (errors.DiskFull("could not extend file"), "the disk of the database server is full: free space on it, then"),
        (errors.TooManyConnections("sorry, too many clients already"), "the server has no connection left: end others"),
        (errors.LockNotAvailable("canceling"), "another process keeps it locked"),
        (errors.AdminShutdown("terminating"), "wait until it answers, then the same command goes on"),
        (errors.IdleSessionTimeout("terminating"), "wait until it answers"),
        (errors.ReadOnlySqlTransaction("cannot execute UPDATE"), "this server takes no changes: name the primary"),
        (errors.InsufficientPrivilege("permission denied for table x"), "this user may not do that"),
        (psycopg.OperationalError('connection failed: FATAL: password authentication failed for user "u"'), RIGHT),
        (
            psycopg.OperationalError('connection failed: FATAL: database "x" does not exist'),
            f"create the database, or {RIGHT}",
        ),
        (psycopg.OperationalError("connection failed: Connection refused"), f"is the server running? If so, {RIGHT}"),
        (
            psycopg.OperationalError("connection failed: FATAL: the database system is starting up"),
            "wait until it answers",
        ),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "wait until it answers"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_postgresql_says_is_told_with_what_to_do(cause: Exception, advice: str) -> None:
    told = database_sentence(of(cause))
    assert f"; {advice}" in told or told.endswith(advice)
    assert (RIGHT in told) == (RIGHT in advice)


def test_an_unknown_failure_has_no_advice() -> None:
    assert database_sentence(OperationalError("odd\n  thing")) == "the database cannot be used: odd thing"


def test_the_systems_failures_name_the_file(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/archive/x.zst")
    told = "/archive/x.zst: No space left on device; the disk is full: free space on it, then the same command goes on"
    assert explained(full) == told
    assert explained(OSError(errno.ENXIO, "No such device")) == "No such device"


@pytest.mark.parametrize("bug", [ValueError("x"), IntegrityError("x"), OSError("x"), UnsafeSource("x")], ids=repr)
def test_our_own_failures_are_not_explained(bug: Exception) -> None:
    assert explained(bug) is None


def test_a_server_that_takes_no_writes_is_explained() -> None:
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")
    assert failures.sentence_of(error).endswith("; this server takes no changes: name the primary in DATABASE_URL")


def test_a_closed_connection_is_explained() -> None:
    assert failures.sentence_of(InterfaceError("the connection is closed")).endswith(
        "wait until it answers, then the same command goes on"
    )
