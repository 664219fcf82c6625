"""A ledger with its archive, kept to go back to: the fault loop starts from it a hundred times."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tests.support.engines import wipe


class Prepared:
    """What the database in use and the archive's folder hold now."""

    def __init__(self, archive_dir: Path, copy: Path | None = None) -> None:
        self._archive = archive_dir
        self._copy = copy or archive_dir.with_name("archive.prepared")
        self._models = list(apps.get_app_config("pipeline").get_models(include_auto_created=True))
        shutil.copytree(self._archive, self._copy)
        with connection.cursor() as cursor:
            self._rows = {table: _rows(cursor, table) for table in (model._meta.db_table for model in self._models)}

    def restore(self, archive_dir: Path | None = None) -> None:
        """Go back to it, perhaps with another archive's folder. Foreign keys are checked at the end of the transaction,
        so the order of the tables is free."""
        archive = archive_dir or self._archive
        wipe()
        shutil.rmtree(archive, ignore_errors=True)
        shutil.copytree(self._copy, archive)
        with transaction.atomic(), connection.cursor() as cursor:
            for table, rows in self._rows.items():
                _insert(cursor, table, rows)
            for statement in connection.ops.sequence_reset_sql(no_style(), self._models):
                cursor.execute(statement)


def _rows(cursor: CursorWrapper, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f"SELECT * FROM {table}")
    return list(cursor.fetchall())


def _insert(cursor: CursorWrapper, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        places = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
