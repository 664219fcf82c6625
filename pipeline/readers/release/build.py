"""Making a release: in a temporary folder until it is complete, its descriptor last; unchanged files are linked."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.models import Capture
from pipeline.readers import formats
from pipeline.readers.errors import ErrorKind, ReadersError
from pipeline.readers.release import package
from pipeline.readers.release.contents import Content, contents
from pipeline.readers.release.package import DESCRIPTOR, KIND, Resource
from pipeline.readers.rows import rows
from pipeline.readers.written import put

NAME = "%Y-%m-%dT%H%M%SZ"
PART = ".part"


class NoRelease(Exception):
    """A release cannot be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """A finished release: its files, how many of them were linked, and their bytes."""

    name: str
    path: Path
    files: int
    linked: int
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """A release by its descriptor."""

    name: str
    path: Path
    as_of: str | None
    resources: tuple[Resource, ...]

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(one.size for one in self.resources)


def release(folder: Path, asked: Mapping[str, Any], *, incremental: bool, if_changed: bool = False) -> Release:
    """Write a release into a folder: of the latest rows, or of an instant. NoRelease, ReadersError, OSError.

    With `if_changed`, an existing release of the same moment is returned instead.
    """
    head = rows(**{"weeks": "all", **asked})
    if head.meta.as_of is None or not head.meta.inputs:
        raise NoRelease("nothing is captured: there is nothing to release")
    as_of = head.meta.as_of.astimezone(UTC)
    name = as_of.strftime(NAME)
    if if_changed and (there := read(folder / name)):
        return Release(name, there.path, len(there.resources), len(there.resources), there.size)
    if (folder / name).exists():
        raise NoRelease(f"{folder / name} is there already: nothing was captured since")
    pinned: dict[str, Any] = {"weeks": asked.get("weeks", "all"), "on_day": head.meta.on_day}
    pinned |= {"as_of": asked["as_of"]} if "as_of" in asked else {"position": head.meta.position}
    known = _known_then(as_of, head.meta.position, by_instant="as_of" in asked)
    found = contents(pinned, known, live="as_of" not in asked)  # type: ignore[arg-type]
    before = _files_of(newest(folder)) if incremental else {}
    with _alone_in(folder):
        return _written(folder, name, as_of, head.meta.position, list(found), before)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Within, no other process makes a release in the folder; remains of killed or failed ones are removed first."""
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        _lock(held, folder)
        _clear(folder)
        yield
    finally:
        os.close(held)


def _lock(held: int, folder: Path) -> None:
    """NoRelease where another process has the lock. Some file systems have no locks: there two may hinder each other."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NoRelease(f"{folder}: another process is making a release here") from None
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP):
            raise


def _known_then(as_of: datetime, position: int, *, by_instant: bool) -> list[Capture]:
    """The captures that were known at the moment of a release, oldest first."""
    captures = Capture.objects.normalized().select_related("partition").order_by("position")
    return list(captures.filter(normalized_at__lte=as_of) if by_instant else captures.filter(position__lte=position))


def _files_of(known: Known | None) -> dict[str, tuple[Path, Resource]]:
    """The files of a release, by the hashes of their inputs."""
    return {one.inputs: (known.path / one.path, one) for one in known.resources} if known else {}


def _written(
    folder: Path,
    name: str,
    as_of: datetime,
    position: int,
    found: list[Content],
    before: Mapping[str, tuple[Path, Resource]],
) -> Release:
    part = folder / f".{name}{PART}"
    part.mkdir()
    try:
        return _whole(folder / name, part, as_of, position, found, before)
    except BaseException:  # also when it is interrupted
        shutil.rmtree(part, ignore_errors=True)
        raise


def _whole(
    path: Path,
    part: Path,
    as_of: datetime,
    position: int,
    found: list[Content],
    before: Mapping[str, tuple[Path, Resource]],
) -> Release:
    """Write all files and the descriptor, and give the folder its name."""
    made = [_resource(part, one, before.get(one.inputs)) for one in found]
    resources = [resource for resource, _ in made]
    put(part / "README.md", package.readme(path.name).encode())
    put(part / "dictionary.csv", package.dictionary().encode())
    put(part / "catalog.sql", package.catalog([one.path for one in resources]).encode())
    document = package.descriptor(path.name, as_of, position, resources)
    put(part / DESCRIPTOR, json.dumps(document, indent=1, sort_keys=True).encode())
    part.rename(path)
    linked = sum(is_linked for _, is_linked in made)
    return Release(path.name, path, len(resources), linked, sum(one.size for one in resources))


def _resource(part: Path, content: Content, before: tuple[Path, Resource] | None) -> tuple[Resource, bool]:
    """Write a file, or link the same file of the release before."""
    path = part / content.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if before is not None and _is_whole(*before):
        _link(before[0], path)
        return before[1], True
    frame = content.make()
    said = package.footer(content.dataset, content.captures, frame.height)
    encoded = formats.parquet_saying(frame, said)
    put(path, encoded)
    sha256 = hashlib.sha256(encoded).hexdigest()
    named = content.path, content.dataset.name, len(encoded), sha256, frame.height, content.inputs, content.captures
    return Resource(*named), False


def _is_whole(path: Path, resource: Resource) -> bool:
    """Whether a file has the size and hash in its release."""
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest() == resource.sha256
    return False


def _link(of: Path, path: Path) -> None:
    """Link a file, or copy it where the file system has no links."""
    try:
        os.link(of, path)
    except OSError:
        shutil.copyfile(of, path)


def known_releases(folder: Path) -> list[Known]:
    """The finished releases of a folder, oldest first."""
    found = [read(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [one for one in found if one is not None]


def newest(folder: Path) -> Known | None:
    """The newest release of a folder."""
    return next(reversed(known_releases(folder)), None)


def read(path: Path) -> Known | None:
    """A release by its descriptor; None for an unfinished one, and for any other folder."""
    if path.name.startswith("."):
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((path / DESCRIPTOR).read_bytes())
        if said["kind"] == KIND:
            return Known(path.name, path, said["as_of"], tuple(map(Resource.read, said["resources"])))
    return None


def remove_older(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` releases; only files that their descriptors name."""
    if keep < 1:
        raise NoRelease("--keep: at least one release is kept")
    older = known_releases(folder)[:-keep]
    for one in older:
        _remove(one.path, [resource.path for resource in one.resources])
    return [one.path for one in older]


def _remove(path: Path, files: list[str]) -> None:
    """Remove a release, its descriptor first, so that half of it is never taken for whole; then its empty folders."""
    for name in (DESCRIPTOR, "README.md", "dictionary.csv", "catalog.sql", *files):
        (path / name).unlink(missing_ok=True)
    for name in sorted({str(parent) for file in files for parent in Path(file).parents}, key=len, reverse=True):
        with suppress(OSError):
            (path / name).rmdir()


def _clear(folder: Path) -> None:
    """Remove the folders of unfinished releases."""
    for part in folder.glob(f".*{PART}"):
        if part.is_dir():
            shutil.rmtree(part)


def file_of(folder: Path, name: str, path: str) -> Path:
    """A file of a release, by the release's name and the file's path. ReadersError for any other file."""
    known = read(folder / name) if name and "/" not in name and not name.startswith(".") else None
    if known is None:
        raise ReadersError(ErrorKind.UNKNOWN_RELEASE, f"there is no release {name!r}")
    files = {DESCRIPTOR, "README.md", "dictionary.csv", "catalog.sql", *(one.path for one in known.resources)}
    if path not in files:
        raise ReadersError(ErrorKind.UNKNOWN_FILE, f"release {name} has no file {path!r}")
    return known.path / path
