"""Making a backup: the database first, then the files that it names, then the manifest, and at last the mark COMPLETE.

Files are written before the rows that name them, and never change: copied after the database, all of them are there.
Nothing is removed meanwhile.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from pipeline import VERSION
from pipeline.keeping import databases, exclusive, manifest, needed, repository
from pipeline.keeping.manifest import Contents, Manifest, Stored
from pipeline.keeping.needed import Wanted
from pipeline.keeping.repository import NoBackup, Repository
from pipeline.models import Backup
from pipeline.vintages import archive, files, store

SPARE = 64 * 2**20  # bytes that a backup leaves free


class CannotBackUp(Exception):
    """No backup can be made; the message says why. An incomplete one does not count as a backup."""


@dataclass(slots=True)
class _Copied:
    """The files so far: those kept, the paths of missing ones, and how many are new."""

    files: list[Stored] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    new: int = 0

    def keep(self, file: Stored, *, is_new: bool) -> None:
        self.files.append(file)
        self.new += is_new


def create(folder: Path) -> tuple[Backup, Manifest]:
    """Make a backup in a folder, and note it in the ledger. A file that the archive has lost does not stop it.

    CannotBackUp, ToolFailed, Busy; ArchiveDamaged and StorageAway where the archive cannot be reached.
    """
    databases.check_tools()
    store.check_mounted()
    held = Repository(folder)
    with exclusive.alone():
        begun = timezone.now()
        path = _begin(held, begun)
        try:
            made, new = _made(held, path, begun)
        except Exception:  # otherwise each failed night would leave another dump
            shutil.rmtree(path, ignore_errors=True)
            raise
        return note(made, folder, timezone.now(), new), made


def _made(held: Repository, path: Path, begun: datetime) -> tuple[Manifest, int]:
    """The complete backup, and how many of its files are new."""
    dumped = path / databases.FILES[connection.vendor]
    with databases.one_instant() as snapshot:
        contents, wanted = manifest.contents(), needed.files()
        databases.dump(snapshot, dumped)
    copied = _copy(wanted, held)
    made = _manifest(path.name, begun, contents, dumped, copied)
    held.complete(made)
    return made, copied.new


def _begin(held: Repository, at: datetime) -> Path:
    try:
        return held.begin(at)
    except FileExistsError as error:
        raise CannotBackUp(f"a backup was begun in this second already: {error.filename}") from error


def _copy(wanted: Iterable[Wanted], held: Repository) -> _Copied:
    known, copied = _known(held), _Copied()
    to_read = []
    for one in wanted:
        file = _kept_already(one, known, held)
        if file:
            copied.keep(file, is_new=False)
        else:
            to_read.append(one)
    _check_room(to_read, held)
    for one in to_read:
        _read(one, held, copied)
    return copied


def _known(held: Repository) -> Mapping[str, Stored]:
    """The payloads of the newest backup by path: a payload's name is its hash, so it need not be read again."""
    try:
        return {file.path: file for file in held.read().files if file.path.endswith(archive.SUFFIX)}
    except (NoBackup, OSError):
        return {}


def _kept_already(wanted: Wanted, known: Mapping[str, Stored], held: Repository) -> Stored | None:
    if wanted.payload:
        file = known.get(wanted.path)
        return file if file and held.holds(file) else None
    path = held.path_of(wanted.sha256) if wanted.sha256 else None
    return Stored(wanted.path, wanted.sha256, path.stat().st_size) if path and path.is_file() else None


def _check_room(to_read: Iterable[Wanted], held: Repository) -> None:
    """CannotBackUp where the disk has too little room, before anything is copied."""
    takes = sum(_size(one.path) for one in to_read) + SPARE
    free = shutil.disk_usage(held.folder).free
    if free < takes:
        raise CannotBackUp(f"{held.folder} has {free:,} bytes free, and the backup takes {takes:,}")


def _size(path: str) -> int:
    try:
        return default_storage.size(path)
    except OSError:
        return 0


def _read(wanted: Wanted, held: Repository, copied: _Copied) -> None:
    """Copy a file if it is whole; else note its path as missing."""
    content = files.read(wanted.path)
    if content is not None and _is_whole(wanted, content):
        file, is_new = held.put(wanted.path, content)
        copied.keep(file, is_new=is_new)
    elif wanted.is_needed:
        copied.missing.append(wanted.path)


def _is_whole(wanted: Wanted, content: bytes) -> bool:
    if wanted.payload:
        return archive.is_whole(wanted.payload)
    return not wanted.sha256 or hashlib.sha256(content).hexdigest() == wanted.sha256


def _manifest(name: str, begun: datetime, contents: Contents, dumped: Path, copied: _Copied) -> Manifest:
    return Manifest(
        format=manifest.FORMAT,
        name=name,
        made_at=begun,
        product=VERSION,
        engine=connection.vendor,
        server=databases.version(),
        contents=contents,
        environment=manifest.given_settings(settings.READ_FROM_ENVIRONMENT),
        database=Stored(dumped.name, repository.hash_of(dumped), dumped.stat().st_size),
        files=copied.files,
        missing=copied.missing,
    )


def note(made: Manifest, place: Path, finished_at: datetime, new: int = 0) -> Backup:
    """Note in the ledger that a backup is complete."""
    return Backup.objects.create(
        made_at=made.made_at,
        finished_at=finished_at,
        place=str(place),
        name=made.name,
        database_bytes=made.database.bytes,
        files=len(made.files),
        files_bytes=made.files_bytes,
        new_files=new,
        missing=len(made.missing),
    )


def record(place: str, at: datetime) -> Backup:
    """Note a backup of ledger and archive that was made by other means. CannotBackUp for an instant in the future."""
    now = timezone.now()
    if at > now:
        raise CannotBackUp(f"{at.isoformat()} is in the future: name an instant that has passed")
    return Backup.objects.create(made_at=at, finished_at=now, place=place, name="made by other means", is_outside=True)
