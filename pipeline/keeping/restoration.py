"""Restoring a backup into an empty database and archive. Schedules and notices are paused until a person finishes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from pipeline.keeping import backups, databases, manifest, postgresql
from pipeline.keeping.manifest import Manifest
from pipeline.keeping.proof import same_tables
from pipeline.keeping.repository import Repository
from pipeline.models import FeedCounter, Restoration, Run, RunStatus
from pipeline.runs import lifecycle
from pipeline.vintages import files

SHOWN = 3


class CannotRestore(Exception):
    """The backup cannot be restored here; the message says why."""


def restore(folder: Path, name: str = "") -> tuple[Restoration, list[str]]:
    """Restore a backup, by default the newest, into the settings' database and archive; also the paths that it lacks.

    NoBackup, CannotRestore, ToolFailed. After an interruption the same call goes on: files that are there already are the
    backup's, and the database comes last, whole or not at all.
    """
    held = Repository(folder)
    found = held.read(name)
    _check_fits(found)
    _check_empty(found)
    _put_files_back(held, found)
    connections.close_all()
    databases.put_back(held.database_of(found), dict(connection.settings_dict))
    counted = same_tables(found.contents.tables, manifest.tables())
    if not counted.passed:
        raise CannotRestore(f"what was restored is not what the backup says: {counted.what}")
    call_command("migrate", verbosity=0, interactive=False)
    return _pause(found, folder), found.missing


def _check_fits(found: Manifest) -> None:
    """CannotRestore for another kind of database or a backup of newer code; ToolFailed without the tools."""
    if found.engine != connection.vendor:
        raise CannotRestore(f"{found.name} is of {found.engine}, and DATABASE_URL names a {connection.vendor}")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    newer = sorted(set(found.contents.migrations) - known)
    if newer:
        raise CannotRestore(
            f"{found.name} was made by a newer version of the product ({found.product}): this one does not know "
            f"{', '.join(newer[:SHOWN])}"
        )
    if found.engine == databases.POSTGRESQL:
        postgresql.require(postgresql.RESTORE, databases.major_of(found.server), "the backup's server")


def _check_empty(found: Manifest) -> None:
    """CannotRestore where database or archive hold anything else: nothing is overwritten."""
    tables = manifest.tables()
    if tables:
        raise CannotRestore(
            f"the database that DATABASE_URL names is not empty, it has {len(tables)} tables: name a new one, or move it "
            "away"
        )
    others = sorted(set(_stored("")) - {file.path for file in found.files})
    if others:
        raise CannotRestore(
            f"the archive is not empty, it has {len(others):,} files that the backup has not ({', '.join(others[:SHOWN])}): "
            "name another MARKETSPINE_ARCHIVE_DIR, or move them away"
        )


def _stored(folder: str) -> Iterator[str]:
    """Every file of the archive, less the parts that a killed process left."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    before = f"{folder}/" if folder else ""
    yield from (f"{before}{name}" for name in names if not name.endswith(".part"))
    for name in folders:
        yield from _stored(f"{before}{name}")


def _put_files_back(held: Repository, found: Manifest) -> None:
    for file in found.files:
        content = held.content_of(file)
        if files.read(file.path) != content:
            files.save(file.path, content)


@transaction.atomic
def _pause(found: Manifest, folder: Path) -> Restoration:
    """Interrupt the runs under way, switch schedules off, and skip positions of the feed, so that none is given twice.

    The backup itself is noted: when its database was read, it was not noted yet.
    """
    for run in Run.objects.filter(status=RunStatus.RUNNING):
        lifecycle.interrupt(run)
    FeedCounter.objects.skip_gap()
    backups.note(found, folder, found.made_at)
    on = PeriodicTask.objects.filter(enabled=True).order_by("name")
    names = list(on.values_list("name", flat=True))
    _switch(names, on=False)
    return Restoration.objects.create(
        restored_at=timezone.now(), name=found.name, place=str(folder), made_at=found.made_at, schedules=names
    )


@transaction.atomic
def finish() -> Restoration:
    """Switch on the schedules that were on. CannotRestore where no restoration is unfinished."""
    found = Restoration.objects.unfinished()
    if found is None:
        raise CannotRestore("no restoration is to be finished")
    _switch(found.schedules, on=True)
    found.finished_at = timezone.now()
    found.save(update_fields=["finished_at"])
    return found


def _switch(names: Collection[str], *, on: bool) -> None:
    PeriodicTask.objects.filter(name__in=names).update(enabled=on)
    PeriodicTasks.update_changed()
