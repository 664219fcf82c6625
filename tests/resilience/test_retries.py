"""Which errors pass by themselves, and how long to wait for it."""

from __future__ import annotations

import errno

import psycopg
import pytest
from django.db import DataError, Error, IntegrityError, InterfaceError, InternalError, OperationalError
from psycopg import errors
from pytest_django import Settings

from pipeline.finra.content import UnreadablePayload
from pipeline.finra.sources.base import NotPublished, TransientSourceError, UnsafeSource
from pipeline.resilience.retries import backoff, is_transient


def from_postgresql(cause: psycopg.Error, kind: type[Error] = OperationalError) -> Error:
    """The error as Django raises it."""
    error = kind(str(cause))
    error.__cause__ = cause
    return error


PASSING = [
    OSError(errno.ENOSPC, "no space left on device"),
    OSError(errno.ESTALE, "stale file handle"),
    OperationalError("database or disk is full"),
    OperationalError("disk I/O error"),
    from_postgresql(errors.DiskFull("could not extend file")),
    from_postgresql(errors.OutOfMemory("out of memory")),
    TransientSourceError("503"),
    ConnectionResetError("reset"),
    TimeoutError("too long"),
    OperationalError("database is locked"),
    OperationalError("database table is locked: pipeline_run"),
    InterfaceError("connection already closed"),
    from_postgresql(errors.DeadlockDetected("deadlock detected")),
    from_postgresql(errors.SerializationFailure("could not serialize access")),
    from_postgresql(errors.LockNotAvailable("canceling statement due to lock timeout")),
    from_postgresql(errors.AdminShutdown("terminating connection due to administrator command")),
    from_postgresql(errors.CannotConnectNow("the database system is starting up")),
    from_postgresql(errors.TooManyConnections("sorry, too many clients already")),
    from_postgresql(errors.ConnectionFailure("gone")),
    from_postgresql(errors.IdleSessionTimeout("terminating connection due to idle-session timeout")),
    from_postgresql(errors.IdleInTransactionSessionTimeout("idle in transaction"), InternalError),
    from_postgresql(errors.TransactionTimeout("transaction timeout"), InternalError),
    from_postgresql(errors.ReadOnlySqlTransaction("cannot execute UPDATE"), InternalError),
    from_postgresql(errors.CrashShutdown("crash")),
    from_postgresql(psycopg.OperationalError("server closed the connection unexpectedly")),
    from_postgresql(psycopg.OperationalError("connection failed: Connection refused")),
]
LASTING = [
    PermissionError(errno.EACCES, "permission denied"),
    ValueError("a bug"),
    NotPublished("not there"),
    UnsafeSource("a device"),
    UnreadablePayload("an HTML page"),
    OperationalError("no such table: pipeline_run"),
    IntegrityError("duplicate key"),
    DataError("out of range"),
    from_postgresql(errors.UndefinedTable("relation does not exist")),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_passes_is_tried_again(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_does_not_pass_fails_at_once(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (1000, 300)])
def test_waits_double_within_bounds_with_jitter(settings: Settings, attempt: int, longest: int) -> None:
    settings.MARKETSPINE_RETRY_SECONDS = 10
    waits = {backoff(attempt).total_seconds() for _ in range(50)}
    assert longest / 2 <= min(waits)
    assert max(waits) <= longest
    assert len(waits) > 1
