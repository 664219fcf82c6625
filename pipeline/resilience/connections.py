"""The database's connections around slow work: none is held while a source is asked, and a lost one costs no download."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from django.conf import settings
from django.db import Error, connection

from pipeline.resilience.retries import backoff, is_lost_connection

logger = logging.getLogger(__name__)

T = TypeVar("T")
LONGEST_WAIT = 10.0  # seconds, with a payload in hand


def release() -> None:
    """Hold no connection: PostgreSQL ends one that idles (idle_session_timeout), and so do proxies and poolers."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


def through_losses(work: Callable[[], T]) -> T:
    """Do `work`, and again where the database ended its connection: at once, then later and later.

    What it works on is in hand, so that the source is not asked for it again. MARKETSPINE_MAX_ATTEMPTS tries in all.
    """
    for attempt in count(1):
        try:
            return work()
        except Error as error:
            if (
                connection.in_atomic_block
                or not is_lost_connection(error)
                or attempt >= settings.MARKETSPINE_MAX_ATTEMPTS
            ):
                raise
            logger.warning("the database ended its connection, try %s: %s", attempt, error)
            connection.close()
            time.sleep(min(backoff(attempt - 1).total_seconds(), LONGEST_WAIT) if attempt > 1 else 0)
    raise AssertionError("count() has no end")
