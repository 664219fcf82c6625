"""Reading regular files safely: the opened file is checked, so that nothing can be swapped between check and read.

Python has no openat2(RESOLVE_BENEATH). Instead files are opened with O_NOFOLLOW, and a link's resolved target is opened
step by step from the root, following no further link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.finra.sources.base import SourceError, TransientSourceError, UnsafeSource

# Without O_NONBLOCK, opening a fifo waits for its writer; without O_NOCTTY, a terminal may become the process's own.
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


SPECIAL = "is a device, a pipe or a socket, and not a regular file: put the file itself there"


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file's bytes, and when it was last modified (UTC)."""

    content: bytes
    modified_at: datetime


def read_beneath(root: Path, name: str, max_bytes: int) -> FileContent:
    """The file `name` of the folder `root`, or the file beneath `root` that it is a link to.

    UnsafeSource when it leads out of the root, is no regular file or is larger than `max_bytes`; TransientSourceError
    when it changes meanwhile; SourceError when it may not be read.
    """
    return _read(lambda: _open_beneath(root, name), name, max_bytes)


def read_anywhere(path: Path, name: str, max_bytes: int) -> FileContent:
    """The file at a path that an operator named, links followed; refusals as in `read_beneath`, `name` in messages."""
    return _read(lambda: os.open(path, FLAGS), name, max_bytes)


def _open_beneath(root: Path, name: str) -> int:
    try:
        return os.open(root / name, FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return _open_target(root, name)


def _open_target(root: Path, name: str) -> int:
    """Open the target of a link, if it is beneath the root."""
    base = Path(os.path.realpath(root, strict=True))
    target = Path(os.path.realpath(root / name, strict=True))
    if not target.is_relative_to(base):
        raise UnsafeSource(f"{name} is a link that leads out of the source folder: put the file itself there")
    return _walk(base, target.relative_to(base).parts)


def _walk(base: Path, steps: tuple[str, ...]) -> int:
    """Open `base`, then each step within the one before. A step that became a link meanwhile fails with ELOOP."""
    at = os.open(base, FLAGS | os.O_DIRECTORY)
    for step in steps:
        folder = at
        try:
            at = os.open(step, FLAGS | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
    return at


def _read(opened: Callable[[], int], name: str, max_bytes: int) -> FileContent:
    with _explained(name):
        descriptor = opened()
        try:
            return _read_descriptor(descriptor, name, max_bytes)
        finally:
            os.close(descriptor)


def _read_descriptor(descriptor: int, name: str, max_bytes: int) -> FileContent:
    before = os.fstat(descriptor)
    _check(before, name, max_bytes)
    content = _read_bytes(descriptor, before.st_size)
    after = os.fstat(descriptor)
    if len(content) != before.st_size or _version(before) != _version(after):
        raise TransientSourceError(f"{name} changed while it was read: try again when its writer has finished")
    return FileContent(content, datetime.fromtimestamp(after.st_mtime, UTC))


def _check(status: os.stat_result, name: str, max_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnsafeSource(f"{name} is a folder, not a file: put or name the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeSource(f"{name} {SPECIAL}")
    if status.st_size > max_bytes:
        raise UnsafeSource(
            f"{name} has {status.st_size} bytes, more than the {max_bytes} allowed: if that is right, "
            "raise MARKETSPINE_MAX_FILE_BYTES"
        )


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _read_bytes(descriptor: int, size: int) -> bytes:
    """`size` bytes, and one more if the file has grown; usually by one read, which Linux ends after 2 GiB."""
    content = os.read(descriptor, size + 1)
    while len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
        content += more
    return content


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn refusals of the operating system into sentences with the remedy."""
    try:
        yield
    except OSError as error:
        raise _explanation(name, error) from error


def _explanation(name: str, error: OSError) -> SourceError:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return SourceError(f"{name} may not be read by this user: give it read permission (chmod a+r)")
        case errno.ENOENT:
            return SourceError(f"{name} is not there (any more), or is a link to nothing")
        case errno.ELOOP:
            return UnsafeSource(f"{name} is a link that leads in circles, or that changed meanwhile")
        case errno.ENXIO:  # a socket cannot be opened at all
            return UnsafeSource(f"{name} {SPECIAL}")
        case _:
            return TransientSourceError(f"{name} could not be read: {error.strerror}")
