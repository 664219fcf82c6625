"""Files of Django's default storage, each written whole: payloads, vintage files, and others derived from them.

In a folder a file gets its name once all of it is on the disk: neither a second writer nor a reader sees half a file. A
killed process leaves a `.part` file, which nothing reads, until somebody removes it. A bucket takes an object whole, or not
at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, cast

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from pipeline.checkpoints import checkpoints

NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})  # file systems that know no hard links


class StorageAway(OSError):
    """The storage is not mounted, or the bucket cannot be asked: no file is known to be lost. It passes (`errno.ESTALE`)."""


class Taken(Exception):
    """Another file has the name."""


class Objects(Protocol):
    """A storage of objects under names, which has no folders on this machine: `bucket.Bucket`."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object, or replace it."""

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object unless the name is taken; whether it did."""

    def has_any(self, folder: str) -> bool:
        """Whether any object is in a folder."""

    def address(self, name: str) -> str:
        """The object's address, for messages."""


def read(path: str) -> bytes | None:
    """The bytes of a file; None where it is not there or cannot be read. StorageAway."""
    try:
        return content_of(path)
    except StorageAway:
        raise
    except OSError:
        return None


def content_of(path: str) -> bytes:
    """The bytes of a file. OSError where it is not there or cannot be read."""
    with default_storage.open(path) as stored:
        return bytes(stored.read())


def save(path: str, content: bytes) -> None:
    """Write a file, or replace it."""
    with _named(path):
        if is_of_this_machine(path):
            _save_in_folder(path, content, os.replace)
            flush_folders(path)
        else:
            _objects().put(path, content)


def place(path: str, content: bytes) -> str:
    """Write a file without replacing another; its path, which is `path` if that is free or holds the same bytes.

    Otherwise the beginning of its own hash is added before the suffix. Of two writers at once each gets its own.
    """
    with suppress(Taken):
        return _place(path, content)
    stem, ending = os.path.splitext(path)
    return _place(f"{stem}.{hashlib.sha256(content).hexdigest()[:8]}{ending}", content)


def _place(path: str, content: bytes) -> str:
    with _named(path):
        if is_of_this_machine(path):
            with suppress(FileExistsError):
                _save_in_folder(path, content, _link)
            flush_folders(path)
        elif _objects().put_new(path, content):
            return path
    if read(path) != content:
        raise Taken(path)
    return path


@checkpoints("folders.flush")
def flush_folders(path: str) -> None:
    """Put the name of a file on the disk, and the names of its folders, which may be new or another process's."""
    while path and is_of_this_machine(path):
        path = os.path.dirname(path)
        _sync(path)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    default_storage.delete(path)


def is_of_this_machine(path: str) -> bool:
    """Whether the storage keeps the file in a folder of this machine."""
    return local_path(path) is not None


def local_path(path: str) -> str | None:
    """The path of the file on this machine; None where the storage has no folders."""
    try:
        return default_storage.path(path)
    except NotImplementedError:
        return None


def is_empty(folder: str) -> bool:
    """Whether a folder of the storage is empty or missing."""
    if not is_of_this_machine(folder):
        return not _objects().has_any(folder)
    try:
        with os.scandir(default_storage.path(folder)) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return True


def shown(path: str) -> str:
    """The place of a file, for a message."""
    return default_storage.path(path) if is_of_this_machine(path) else _objects().address(path)


def _objects() -> Objects:
    return cast(Objects, default_storage)


def _save_in_folder(path: str, content: bytes, name: Callable[[str, str], None]) -> None:
    """Write under a temporary name, and call `name(from, to)` once it is on the disk."""
    part = f"{path}.{secrets.token_hex(4)}.part"
    try:
        default_storage.save(part, ContentFile(content))
        _flush(part)
        name(default_storage.path(part), default_storage.path(path))
    except OSError:
        with suppress(OSError):
            default_storage.delete(part)
        raise


@checkpoints("file.link")
def _link(part: str, final: str) -> None:
    """Give a file its name; FileExistsError where another has it."""
    try:
        os.link(part, final)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.exists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final) from error
        os.replace(part, final)
    else:
        os.unlink(part)


@checkpoints("file.flush")
def _flush(path: str) -> None:
    """Put the content of a file on the disk."""
    _sync(path)


def _sync(path: str) -> None:
    """Let the operating system write a file or a folder to the disk."""
    path = default_storage.path(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Add the file's name to errors of the operating system: a failed write does not name the full disk's file."""
    try:
        yield
    except OSError as error:
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, shown(path)) from error
