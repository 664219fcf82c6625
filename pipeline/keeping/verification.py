"""Verifying that a backup is still what was written: manifest, database, and files by their hashes. Reads only."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from pipeline.keeping import databases, postgresql
from pipeline.keeping.manifest import Manifest, Stored
from pipeline.keeping.postgresql import ToolFailed
from pipeline.keeping.proof import Proved
from pipeline.keeping.repository import NoBackup, Repository, hash_of

SAMPLE = 200


def verify(folder: Path, name: str = "", *, everything: bool = False, seed: int = 0) -> Iterator[Proved]:
    """The checks: every file has its size, and a sample of them, or all, have their hash. NoBackup."""
    held = Repository(folder)
    manifest = held.read(name)
    yield Proved(f"the manifest of {manifest.name} is what was written", passed=True)
    yield from _database(held, manifest)
    yield _all_there(held, manifest)
    files = list({file.sha256: file for file in manifest.files}.values())
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    yield _hashes(held, files if everything else draw.sample(files, k=min(SAMPLE, len(files))), len(files))


def _database(held: Repository, manifest: Manifest) -> Iterator[Proved]:
    path = held.database_of(manifest)
    is_whole = path.is_file() and hash_of(path) == manifest.database.sha256
    yield Proved(f"{path.name} is what was written ({manifest.database.bytes:,} bytes)", is_whole)
    if is_whole:
        yield _readable(path, manifest)


def _readable(path: Path, manifest: Manifest) -> Proved:
    read = databases.check_sqlite if manifest.engine == databases.SQLITE else postgresql.check_readable
    try:
        read(path)
    except ToolFailed as error:
        return Proved(f"{path.name} can be read: {error}", passed=False)
    return Proved(f"{path.name} can be read", passed=True)


def _all_there(held: Repository, manifest: Manifest) -> Proved:
    lacking = [file.path for file in manifest.files if not held.holds(file)]
    named = f"; {len(lacking):,} are not: {', '.join(lacking[:3])}" if lacking else ""
    return Proved(f"{len(manifest.files):,} files are there{named}", not lacking)


def _hashes(held: Repository, read: list[Stored], of: int) -> Proved:
    damaged = [file.path for file in read if not _is_whole(held, file)]
    named = f"; {len(damaged):,} are not: {', '.join(damaged[:3])}" if damaged else ""
    return Proved(f"{len(read):,} of {of:,} were read and are what was kept{named}", not damaged)


def _is_whole(held: Repository, file: Stored) -> bool:
    try:
        held.content_of(file)
    except NoBackup:
        return False
    return True
