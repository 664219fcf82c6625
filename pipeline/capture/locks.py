"""Locks of the database that no row stands for, held until a transaction ends."""

from __future__ import annotations

from django.db import connection

SURVEY = 7_401  # any number that no other lock of the database has


def one_at_a_time(lock: int) -> None:
    """Hold a lock until the transaction ends. SQLite lets one transaction write at a time anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
