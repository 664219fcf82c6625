"""The folder of backups: files once, by the hash of their bytes, and each backup with its manifest.

    files/ab/abcdef...             a payload, a vintage file, a record: once, for all backups that share it
    backups/20261126T031600Z/      database.sqlite3 or database.dump, manifest.json, and COMPLETE, which is written last

A file is on the disk before it has its name. A folder without COMPLETE was left by a killed process, and is no backup.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.keeping import databases
from pipeline.keeping.manifest import FORMAT, Manifest, Stored

COMPLETE, MANIFEST = "COMPLETE", "manifest.json"


class NoBackup(Exception):
    """There is no such backup, or it cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A folder of backups."""

    folder: Path

    def begin(self, at: datetime) -> Path:
        """The folder of a new backup; FileExistsError where one was begun in this second."""
        path = self._backups / f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        path.mkdir(parents=True)
        return path

    def complete(self, manifest: Manifest) -> None:
        """Write the manifest, then COMPLETE."""
        path, text = self._backups / manifest.name, manifest.text()
        _write(path / MANIFEST, text)
        _write(path / COMPLETE, f"{hashlib.sha256(text).hexdigest()}\n".encode())

    def names(self) -> list[str]:
        """The complete backups, oldest first."""
        return sorted(path.parent.name for path in self._backups.glob(f"*/{COMPLETE}"))

    def read(self, name: str = "") -> Manifest:
        """The manifest of a backup, by default of the newest. NoBackup."""
        names = self.names()
        if not names or (name and name not in names):
            known = f" {name}; there are: {', '.join(names)}" if names else ""
            raise NoBackup(f"{self.folder} has no complete backup{known}")
        path = self._backups / (name or names[-1])
        text = (path / MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest() != (path / COMPLETE).read_text().strip():
            raise NoBackup(f"the manifest of {path.name} is not what was written: its hash differs")
        try:
            found = Manifest.read(text)
        except (ValueError, KeyError, TypeError) as error:
            raise NoBackup(f"the manifest of {path.name} cannot be read: {error}") from error
        if found.format > FORMAT:
            raise NoBackup(f"{path.name} was written by a newer version of the product ({found.product})")
        return found

    def manifest_path(self, manifest: Manifest) -> Path:
        """The path of a backup's manifest."""
        return self._backups / manifest.name / MANIFEST

    def database_of(self, manifest: Manifest) -> Path:
        """The path of a backup's database."""
        return self._backups / manifest.name / manifest.database.path

    def path_of(self, sha256: str) -> Path:
        """The path of the file with this hash."""
        return self.folder / "files" / sha256[:2] / sha256

    def holds(self, file: Stored) -> bool:
        """Whether a file is there, with its size."""
        try:
            return self.path_of(file.sha256).stat().st_size == file.bytes
        except OSError:
            return False

    def put(self, path: str, content: bytes) -> tuple[Stored, bool]:
        """Keep a file; also whether it is new."""
        file = Stored(path, hashlib.sha256(content).hexdigest(), len(content))
        if self.holds(file):
            return file, False
        target = self.path_of(file.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)
        return file, True

    def content_of(self, file: Stored) -> bytes:
        """The bytes of a file; NoBackup where it is missing or damaged."""
        try:
            content = self.path_of(file.sha256).read_bytes()
        except OSError as error:
            raise NoBackup(f"{file.path} is not in the backup: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise NoBackup(f"{file.path} is damaged in the backup: its hash differs")
        return content

    def lay_out(self, manifest: Manifest, folder: Path) -> None:
        """Lay out the files of a backup under their paths: linked where the file system can, else copied."""
        for file in manifest.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path_of(file.sha256), target)
            except OSError:
                shutil.copyfile(self.path_of(file.sha256), target)

    @property
    def _backups(self) -> Path:
        return self.folder / "backups"


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, whatever its size."""
    with path.open("rb") as stored:
        return hashlib.file_digest(stored, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_bytes(content)
    databases.flush(part)
    part.replace(path)
    for folder in (path.parent, path.parent.parent):  # either may be new
        databases.flush(folder)
