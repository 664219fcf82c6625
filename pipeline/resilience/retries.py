"""Transient errors, which are tried again; all others fail at once.

The retry itself is in `runs/process_partition.py` (a partition), `resilience/connections.py` (the database) and
`finra/sources/api/transport.py` (a request).
"""

from __future__ import annotations

import random
from datetime import timedelta

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError

from pipeline.finra.sources.base import TransientSourceError
from pipeline.resilience.failures import PASSING

# PostgreSQL's names: https://www.postgresql.org/docs/current/errcodes-appendix.html
CONNECTION_CLASS = "08"
PASSING_STATES = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53100",  # disk_full: somebody frees space
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
    }
)
# The connection was ended, or its server takes no writes (after a failover): a new connection may work.
LOST_STATES = frozenset(
    {
        "25006",  # read_only_sql_transaction
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
    }
)
# The texts of libpq, psycopg and SQLite where there is no state: a lost connection, a held lock, a full disk.
LOST_WORDS = ("connection", "could not receive data from server", "the database system is")
FULL_WORDS = ("disk is full", "disk i/o error")
PASSING_WORDS = (*LOST_WORDS, *FULL_WORDS, "database is locked", "database table is locked")
FULL_STATES = frozenset({"53100", "53200"})
LONGEST = timedelta(minutes=5)


def is_transient(error: BaseException) -> bool:
    """Whether another try may help: a connection, a time-out, a database restart, a deadlock, a lock."""
    if isinstance(error, Error):
        return is_lost_connection(error) or _says(error, PASSING_STATES, PASSING_WORDS)
    if isinstance(error, OSError) and error.errno in PASSING:
        return True  # somebody frees space, or a folder's server comes back
    return isinstance(error, TransientSourceError | ConnectionError | TimeoutError)


def is_away(error: BaseException) -> bool:
    """Whether the database is likely to answer again by itself. A full disk is not: somebody has to free space."""
    return is_transient(error) and not _says(error, FULL_STATES, FULL_WORDS)


def is_lost_connection(error: BaseException) -> bool:
    """Whether the database ended the connection, or takes no writes on it: another connection may work."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state.startswith(CONNECTION_CLASS) or _says(error, LOST_STATES, LOST_WORDS)


def _says(error: BaseException, states: frozenset[str], words: tuple[str, ...]) -> bool:
    """Whether a database's error has one of the states or, where it has no state, one of the words."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return state in states
    said = str(error).lower()
    return isinstance(error, OperationalError | InterfaceError) and any(word in said for word in words)


def wait_before_retry(error: BaseException, attempt: int) -> timedelta:
    """How long to wait after the `attempt`-th try, and never less than the source asked for."""
    asked = timedelta(seconds=error.after or 0) if isinstance(error, TransientSourceError) else timedelta(0)
    return max(asked, backoff(attempt))


def backoff(attempt: int) -> timedelta:
    """How long to wait after the `attempt`-th try (1, 2, ...): twice as long each time, less up to half of it by chance.

    The chance keeps workers that failed together from coming back together.
    """
    whole = timedelta(seconds=settings.MARKETSPINE_RETRY_SECONDS * 2 ** min(attempt - 1, 16))
    return min(whole, LONGEST) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
