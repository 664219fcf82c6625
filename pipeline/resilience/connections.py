"""The database's connections around slow work: none is held while a source is asked, and losing one loses no work.

While the database is away, a process waits with its work in hand and goes on when it is back. So an outage costs no
attempt, no message, no second download and no time beyond its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import Error, close_old_connections, connection

from pipeline.resilience import stopping
from pipeline.resilience.retries import is_away

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0
LONGEST_SECONDS = 600.0  # then the database is taken to be gone: a command ends, and a sweep finds the work later


def release() -> None:
    """Hold no connection: PostgreSQL ends one that idles (idle_session_timeout), and so do proxies and poolers."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


def patiently(act: Callable[[], T]) -> T:
    """Return what `act` returns; call it again at once, and then each second, while the database is away.

    The database's error is raised when ten minutes have passed, when this process is to stop, and within a transaction.
    Celery's time limits end the waiting of a worker's process earlier.
    """
    failed, until = 0, time.perf_counter() + LONGEST_SECONDS
    while True:
        try:
            return act()
        except Error as error:
            if not _may_wait(error) or time.perf_counter() >= until:
                raise
            if not failed:
                logger.warning("the database does not answer, and is waited for: %s", error)
            close_old_connections()
        time.sleep(POLL_SECONDS if failed else 0)
        failed += 1


def _may_wait(error: Error) -> bool:
    return is_away(error) and not connection.in_atomic_block and not stopping.is_ordered()
