"""The look before an upgrade: migrations to come, tables that they lock, the age of the backup, and runs under way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.utils import timezone

from pipeline import VERSION
from pipeline.keeping import manifest
from pipeline.models import Backup, Restoration, Run, RunStatus

FRESH = timedelta(days=1)
ON_A_FIELD = (operations.AddField, operations.AlterField, operations.RemoveField, operations.RenameField)
ON_A_CONSTRAINT = (operations.AddConstraint, operations.RemoveConstraint, operations.AddIndex, operations.RemoveIndex)
ON_A_MODEL = (operations.DeleteModel,)


@dataclass(frozen=True, slots=True)
class Step:
    """A migration to come, and the existing tables that it locks, with the number of rows of each."""

    name: str
    does: tuple[str, ...]
    locks: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The steps of an upgrade. `against` are the reasons, a sentence each, not to do it now."""

    version: str
    steps: tuple[Step, ...]
    against: tuple[str, ...]


def outlook() -> Outlook:
    """Compare the settings' database with this version's migrations. Reads only."""
    executor = MigrationExecutor(connection)
    tables = manifest.tables()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes()) if tables else []
    known = executor.loader.disk_migrations
    newer = sorted(f"{app}.{name}" for app, name in executor.loader.applied_migrations if (app, name) not in known)
    steps = tuple(_step(migration, tables) for migration, _backwards in plan)
    return Outlook(VERSION, steps, tuple(_against(tables, newer)))


def _step(migration: Migration, tables: dict[str, int]) -> Step:
    touched = {table for operation in migration.operations for table in _tables_of(operation, migration.app_label)}
    return Step(
        f"{migration.app_label}.{migration.name}",
        tuple(operation.describe() for operation in migration.operations),
        {table: tables[table] for table in sorted(touched) if table in tables},
    )


def _tables_of(operation: Operation, app: str) -> Iterator[str]:
    """The tables that an operation locks. A new table locks none."""
    if isinstance(operation, (*ON_A_FIELD, *ON_A_CONSTRAINT)):
        yield f"{app}_{operation.model_name}".lower()
    elif isinstance(operation, ON_A_MODEL):
        yield f"{app}_{operation.name}".lower()


def _against(tables: dict[str, int], newer: list[str]) -> Iterator[str]:
    if not tables:
        yield "the database is empty: there is nothing to upgrade, `migrate` makes it"
        return
    if newer:
        yield f"the database is newer than this version: it has {', '.join(newer[:3])}; go on with the version that made it"
    if not {Backup._meta.db_table, Restoration._meta.db_table} <= tables.keys():
        yield "the database is of a version that made no backups: copy it, and its archive, before"
        return
    yield from _unbacked()
    under_way = Run.objects.filter(status=RunStatus.RUNNING).count()
    if under_way:
        yield f"{under_way} runs are under way: wait until they have ended, or stop the workers; what is left is resumed"
    if Restoration.objects.unfinished():
        yield "a restoration is not finished: `restore --finish` first"


def _unbacked() -> Iterator[str]:
    age = Backup.objects.age(timezone.now())
    if age is None:
        yield "there is no backup: `backup create` first"
    elif age > FRESH:
        yield f"the newest backup is {age.total_seconds() / 3600:.0f} hours old: `backup create` first"
