"""Files of Django's default storage, each written whole: payloads, vintage files, and what is derived from them.

In a folder a file gets its name when all of it is on the disk: two processes that write the same file at once never see
each other's half, nor does a reader see what a killed process left. That is a `.part` file, which is read by none and stays
until it is removed by hand. A bucket takes an object whole, or not at all.
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
    """The storage is not mounted, or the bucket cannot be asked: no file is known to be lost. Passes (`errno.ESTALE`)."""


class Taken(Exception):
    """Another file has the name."""


class Objects(Protocol):
    """A storage of objects under names, which has no folders on this machine: `bucket.Bucket`."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object, in the place of one that is there."""

    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one of that name; whether it did."""

    def has_any(self, folder: str) -> bool:
        """Whether any object is in a folder."""

    def address(self, name: str) -> str:
        """The object's address, for messages."""


def read(path: str) -> bytes | None:
    """A file as it is; None where it is not there or cannot be read. StorageAway."""
    try:
        return content_of(path)
    except StorageAway:
        raise
    except OSError:
        return None


def content_of(path: str) -> bytes:
    """A file as it is. OSError where it is not there or cannot be read."""
    with default_storage.open(path) as stored:
        return bytes(stored.read())


def save(path: str, content: bytes) -> None:
    """Write a file, in the place of one that is there."""
    with _named(path):
        if is_of_this_machine(path):
            _save_in_folder(path, content, os.replace)
            flush_folders(path)
        else:
            _objects().put(path, content)


def place(path: str, content: bytes) -> str:
    """Write a file that never replaces another; returns its path, the one asked for where that is free or holds the same.

    Else it has the beginning of its own hash before its ending. Of two that write at once, each gets its own.
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
    """Have the name of a file on the disk, and those of the folders that it is in: some may be new, or another process's."""
    while path and is_of_this_machine(path):
        path = os.path.dirname(path)
        _sync(path)


def remove(path: str) -> None:
    """Remove a file, where it is there."""
    default_storage.delete(path)


def is_of_this_machine(path: str) -> bool:
    """Whether the storage keeps the file in a folder of this machine."""
    return local_path(path) is not None


def local_path(path: str) -> str | None:
    """Where the file is on this machine; None where the storage has no folders."""
    try:
        return default_storage.path(path)
    except NotImplementedError:
        return None


def is_empty(folder: str) -> bool:
    """Whether nothing is in a folder of the storage, or there is no such folder."""
    if not is_of_this_machine(folder):
        return not _objects().has_any(folder)
    try:
        with os.scandir(default_storage.path(folder)) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return True


def shown(path: str) -> str:
    """Where a file is, for a message."""
    return default_storage.path(path) if is_of_this_machine(path) else _objects().address(path)


def _objects() -> Objects:
    return cast(Objects, default_storage)


def _save_in_folder(path: str, content: bytes, name: Callable[[str, str], None]) -> None:
    """Write under a name of its own, and give it the right one once it is on the disk; `name` takes both, from and to."""
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
    """Give a file its name, unless another has it: FileExistsError."""
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
    """Have the content of a file on the disk."""
    _sync(path)


def _sync(path: str) -> None:
    """Have the operating system write a file or a folder to the disk."""
    path = default_storage.path(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """An error of the operating system names the file: that of a write does not say where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, shown(path)) from error
