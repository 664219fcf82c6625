"""Files of Django's default storage, each written whole: payloads, vintage files, and what is derived from them.

In a folder a file gets its name when all of it is on the disk: two processes that write the same file at once never see
each other's half, nor does a reader see what a killed process left. That is a `.part` file, which is read by none and stays
until it is removed by hand. Other storages save all or nothing themselves.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from pipeline.checkpoints import checkpoints

NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})  # file systems that know no hard links


class Taken(Exception):
    """Another file has the name."""


def read(path: str) -> bytes | None:
    """A file as it is; None where it is not there or cannot be read."""
    try:
        return content_of(path)
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
            _save_elsewhere(path, content)


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
        elif not default_storage.exists(path):
            _save_elsewhere(path, content)
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


def folder_of(path: str) -> str | None:
    """The folder of this machine that a file is kept in; None where the storage is not of this machine."""
    try:
        return os.path.dirname(default_storage.path(path))
    except NotImplementedError:
        return None


def is_of_this_machine(path: str) -> bool:
    """Whether the storage keeps the file in a folder of this machine."""
    return folder_of(path) is not None


def _save_elsewhere(path: str, content: bytes) -> None:
    default_storage.delete(path)
    saved = default_storage.save(path, ContentFile(content))
    if saved != path:  # another process wrote the same file at once: one copy is enough
        default_storage.delete(saved)


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
        folder = folder_of(path)
        shown = path if folder is None else os.path.join(folder, os.path.basename(path))
        raise OSError(error.errno, error.strerror, shown) from error
