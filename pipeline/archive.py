"""The archive: payloads, zstd-compressed and named by their SHA-256, in Django's default storage.

It is what lets a parser bug be repaired without asking FINRA again, which for an earlier vintage nobody can. A payload is
archived before its capture is written: an orphan is harmless, a capture without its payload is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
    """Archive a payload under its hash; one that is there and whole is left as it is.

    What a killed process left half written is found out by reading it, and written again.
    """
    path = path_of(sha256, shelf)
    if default_storage.exists(path):
        try:
            get(sha256, shelf)
            return
        except ArchiveDamaged:
            default_storage.delete(path)
    saved = default_storage.save(path, ContentFile(zstandard.ZstdCompressor(level=LEVEL).compress(content)))
    _flush(saved)
    if saved != path:  # two processes archived the same payload at once: one copy is enough
        default_storage.delete(saved)


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
    """Have the operating system write a file of a folder to disk; other storages do so themselves."""
    try:
        descriptor = os.open(default_storage.path(path), os.O_RDONLY)
    except NotImplementedError:
        return
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
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be decompressed: {error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is not what was archived: its hash differs")
    return content
