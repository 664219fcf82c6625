"""A database that goes away is waited for: who has a piece of work in hand keeps it, and goes on when the database is back.

So an outage costs no attempt, no message and no time beyond its own: nothing has to be found out and sent again.
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

LOOK_SECONDS = 1.0
LONGEST_SECONDS = 600.0  # then the database is taken to be gone: a command ends, and a sweep finds the work later


def patiently(act: Callable[[], T]) -> T:
    """What `act` returns, tried again each second while the database is away; `act` may be begun several times.

    Celery's time limits end the waiting of a worker's process, an order to stop and ten minutes that of every process: then
    the database's error is raised.
    """
    told, until = False, time.perf_counter() + LONGEST_SECONDS
    while True:
        try:
            return act()
        except Error as error:
            if (
                not is_away(error)
                or connection.in_atomic_block
                or stopping.is_ordered()
                or time.perf_counter() >= until
            ):
                raise
            if not told:
                logger.warning("the database does not answer, and is waited for: %s", error)
            told = True
            close_old_connections()
        time.sleep(LOOK_SECONDS)
