"""One backup or one removal at a time: a removal could take a file that a backup is about to copy."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

LOCK = 7_410  # any number that no other lock of the database has


class Busy(Exception):
    """Another backup or removal is under way."""


@contextmanager
def alone() -> Iterator[None]:
    """Within, no other process makes a backup or removes pruned captures; Busy where one does. A dead one holds no lock."""
    holding = _in_postgresql() if connection.vendor == "postgresql" else _beside_sqlite()
    with holding as is_held:
        if not is_held:
            raise Busy("another backup, or a removal of pruned captures, is under way: wait until it has ended")
        yield


@contextmanager
def _in_postgresql() -> Iterator[bool]:
    """A session's lock, on a connection of its own: the server frees it with the connection."""
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            yield bool(cursor.fetchone()[0])
    finally:
        own.close()


@contextmanager
def _beside_sqlite() -> Iterator[bool]:
    """A lock on an empty file beside the database, which serves one machine's processes only."""
    path = Path(f"{connection.settings_dict['NAME']}.keeping")
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
