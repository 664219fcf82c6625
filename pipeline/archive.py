"""The archive: payloads, zstd-compressed and named by their SHA-256, in Django's default storage.

It is what lets a parser bug be repaired without asking FINRA again, which for an earlier vintage nobody can. A payload is
archived before its capture is written: an orphan is harmless, a capture without its payload is not.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import StrEnum

import zstandard
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

LEVEL = 3


class ArchiveDamaged(Exception):
    """An archived payload is missing, or is not what it was; the message says which and how."""


class Shelf(StrEnum):
    """What is archived: payloads for ever; of each partition's newest capture also its canonical rows, to reread from."""

    PAYLOADS = "payloads"
    READINGS = "readings"


def path_of(sha256: str, shelf: Shelf = Shelf.PAYLOADS) -> str:
    """Where it is kept: `payloads/ab/abcdef....zst`."""
    return f"{shelf}/{sha256[:2]}/{sha256}.zst"


def put(content: bytes, sha256: str, shelf: Shelf = Shelf.PAYLOADS) -> None:
    """Archive a payload under its hash; one that is there and whole is left as it is, one that is not is replaced.

    In a folder it gets its name when all of it is on the disk: two processes that archive the same payload at once never
    see each other's half, nor does anyone what a killed process left. Other storages save all or nothing themselves.
    """
    path = path_of(sha256, shelf)
    if default_storage.exists(path) and _is_whole(sha256, shelf):
        return
    compressed = ContentFile(zstandard.ZstdCompressor(level=LEVEL).compress(content))
    folder = _folder_of(path)
    if folder is None:
        _save(path, compressed)
    else:
        _save_and_rename(path, compressed, folder)


def _is_whole(sha256: str, shelf: Shelf) -> bool:
    try:
        get(sha256, shelf)
    except ArchiveDamaged:
        return False
    return True


def _folder_of(path: str) -> str | None:
    """The folder that a file is kept in; None when the storage is not of this machine."""
    try:
        return os.path.dirname(default_storage.path(path))
    except NotImplementedError:
        return None


def _save(path: str, compressed: ContentFile[bytes]) -> None:
    default_storage.delete(path)
    saved = default_storage.save(path, compressed)
    if saved != path:  # another process archived the same payload at once: one copy is enough
        default_storage.delete(saved)


def _save_and_rename(path: str, compressed: ContentFile[bytes], folder: str) -> None:
    part = f"{path}.{secrets.token_hex(4)}.part"
    try:
        default_storage.save(part, compressed)
        _flush(default_storage.path(part))
        os.replace(default_storage.path(part), default_storage.path(path))
    except OSError:
        with suppress(OSError):
            default_storage.delete(part)
        raise
    _flush(folder)


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Archive in another thread, since compressing and writing leave the interpreter free meanwhile.

    Yields a function that returns once `work` is done, or raises what went wrong: call it before the capture is written.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor.submit(work).result


def discard(sha256: str, shelf: Shelf) -> None:
    """Remove what is not needed any more."""
    default_storage.delete(path_of(sha256, shelf))


def _flush(path: str) -> None:
    """Have the operating system write a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def get(sha256: str, shelf: Shelf = Shelf.PAYLOADS) -> bytes:
    """The payload with this hash. ArchiveDamaged when it is missing or its bytes are not what they were."""
    path = path_of(sha256, shelf)
    try:
        with default_storage.open(path) as stored:
            content = zstandard.ZstdDecompressor().decompress(stored.read(), max_output_size=2**31)
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is missing ({path})") from error
    except OSError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be read: {error.strerror}") from error
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged header may declare any size
        why = str(error) or "it declares a size that does not fit into memory"
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be decompressed: {why}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is not what was archived: its hash differs")
    return content
