"""The migrations that the database lacks, for the commands, /readyz and the metrics."""

from __future__ import annotations

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


def pending() -> int:
    """How many migrations of this code are not applied; a database Error where that cannot be asked."""
    return len(_known() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _known() -> frozenset[tuple[str, str]]:
    """The migrations of the code. They cannot change while the process lives, and none replaces others."""
    return frozenset(MigrationLoader(None).graph.nodes)
