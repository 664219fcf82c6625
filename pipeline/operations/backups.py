"""Making, recording, drilling and restoring backups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pipeline.keeping import backups, drills, restoration
from pipeline.keeping.backups import CannotBackUp
from pipeline.keeping.drills import CannotDrill
from pipeline.keeping.exclusive import Busy
from pipeline.keeping.manifest import Manifest
from pipeline.keeping.postgresql import ToolFailed
from pipeline.keeping.repository import NoBackup
from pipeline.models import Act, ActOutcome, Backup, Drill, Restoration
from pipeline.operations.orders import Order, Refused, write_down
from pipeline.vintages.archive import ArchiveDamaged

T = TypeVar("T")
REFUSALS = (CannotBackUp, CannotDrill, Busy, ToolFailed, NoBackup, ArchiveDamaged)


def create_backup(folder: Path, order: Order) -> tuple[Backup, Manifest]:
    """Make a backup. Refused where none can be made."""
    backup, manifest = _refusing(Act.BACKUP, order, lambda: backups.create(folder))
    lost = f" {backup.missing:,} files that the archive has lost are not in it." if backup.missing else ""
    told = f"{backup.name} in {folder}: the database ({backup.database_bytes:,} bytes), {backup.files:,} files."
    write_down(Act.BACKUP, order, [backup], f"{told}{lost}")
    return backup, manifest


def record_backup(place: str, at: datetime, order: Order) -> Backup:
    """Note a backup that was made by other means. Refused for an instant in the future."""
    backup = _refusing(Act.BACKUP_RECORD, order, lambda: backups.record(place, at))
    write_down(Act.BACKUP_RECORD, order, [backup], f"A backup of {at:%Y-%m-%d %H:%M} UTC is in {place}.")
    return backup


def drill_backup(folder: Path, name: str, into: str, seed: int | None, order: Order) -> Drill:
    """Restore a backup elsewhere and prove it there. Refused where no drill is possible."""
    drill = _refusing(Act.BACKUP_DRILL, order, lambda: drills.drill(folder, name, into, seed))
    proved = "is proved" if drill.passed else "is NOT proved"
    write_down(Act.BACKUP_DRILL, order, [drill], f"{drill.name} {proved}: restored in {drill.seconds:.1f} s.")
    return drill


def restore_backup(folder: Path, name: str, order: Order) -> tuple[Restoration, list[str]]:
    """Restore a backup into the empty database and archive of the settings; also the paths that the backup lacks.

    NoBackup, CannotRestore, ToolFailed.
    """
    restored, missing = restoration.restore(folder, name)
    told = (
        f"{restored.name}, made {restored.made_at:%Y-%m-%d %H:%M} UTC, was restored. Schedules and notices are paused."
    )
    write_down(Act.RESTORE_BACKUP, order, [restored], told)
    return restored, missing


def finish_restoration(order: Order) -> Restoration:
    """Switch schedules and notices on again. CannotRestore where no restoration waits for it."""
    finished = restoration.finish()
    told = f"Schedules and notices go on: {', '.join(finished.schedules) or 'no schedule was on'}."
    write_down(Act.RESTORE_FINISH, order, [finished], told)
    return finished


def _refusing(act: Act, order: Order, work: Callable[[], T]) -> T:
    try:
        return work()
    except REFUSALS as error:
        write_down(act, order, (), str(error), ActOutcome.REFUSED)
        raise Refused(str(error)) from error
