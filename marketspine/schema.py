"""Which migrations the database lacks: asked by each command, by /readyz and by the metrics."""

from __future__ import annotations

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


def pending() -> int:
    """How many migrations of this code are not applied; an Error of the database where it cannot be asked."""
    return len(_known() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _known() -> frozenset[tuple[str, str]]:
    """The migrations of the code, which do not change while a process lives. None of them replaces others."""
    return frozenset(MigrationLoader(None).graph.nodes)
