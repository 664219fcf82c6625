"""The archive: payloads, zstd-compressed and named by their SHA-256, in Django's default storage.

A parser bug is repaired from here: FINRA does not offer an earlier vintage any more. A payload is
archived before its capture is written: an orphan is harmless, a capture without its payload is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from contextlib import suppress

import zstandard
from django.core.files.storage import default_storage

from pipeline.checkpoints import checkpoints
from pipeline.vintages import files

LEVEL = 3
SUFFIX = ".zst"


class ArchiveDamaged(Exception):
    """An archived payload is missing, or is not what it was; the message says which and how.

    `sha256` names the payload; it is empty where the archive as a whole cannot be reached.
    """

    def __init__(self, message: str, sha256: str = "") -> None:
        super().__init__(message)
        self.sha256 = sha256


def path_of(sha256: str) -> str:
    """Where it is kept: `payloads/ab/abcdef....zst`."""
    return f"payloads/{sha256[:2]}/{sha256}{SUFFIX}"


@checkpoints("archive")
def put(content: bytes, sha256: str) -> None:
    """Archive a payload under its hash; one that is there and whole is left as it is, one that is not is replaced."""
    if not put_back(content, sha256):
        files.flush_folders(path_of(sha256))


def put_back(content: bytes, sha256: str) -> bool:
    """Archive a payload as `put` does; whether it was missing or damaged."""
    with suppress(ArchiveDamaged):
        if _stored(sha256) == content:
            return False
    files.save(path_of(sha256), zstandard.ZstdCompressor(level=LEVEL).compress(content))
    return True


def present(hashes: Collection[str]) -> set[str]:
    """The payloads that are there, whole or not. ArchiveDamaged when the storage cannot be asked."""
    found = present_files({path_of(sha256) for sha256 in hashes})
    return {sha256 for sha256 in hashes if path_of(sha256) in found}


def present_files(paths: Collection[str]) -> set[str]:
    """The files that are there, whole or not, by one listing of each folder that they are in.

    ArchiveDamaged when the storage cannot be asked.
    """
    folders = {os.path.dirname(path) for path in paths}
    try:
        listed = {f"{folder}/{name}" for folder in folders for name in names(folder)}
    except NotImplementedError:  # a storage that cannot list
        return {path for path in paths if default_storage.exists(path)}
    return listed.intersection(paths)


def names(folder: str) -> list[str]:
    """The files in a folder of the archive; none where there is no such folder. ArchiveDamaged when it cannot be listed."""
    try:
        return list(default_storage.listdir(folder)[1])
    except FileNotFoundError:
        return []
    except NotImplementedError:
        raise
    except Exception as error:  # each storage fails in a way of its own
        said = isinstance(error, OSError) and error.strerror
        raise ArchiveDamaged(f"the archive cannot be listed: {said or f'{type(error).__name__}: {error}'}") from error


def is_whole(sha256: str) -> bool:
    """Whether it is there and what was archived; it is read whole."""
    try:
        get(sha256)
    except ArchiveDamaged:
        return False
    return True


def discard(sha256: str) -> None:
    """Remove a payload that retention gives up, where it is there."""
    files.remove(path_of(sha256))


def get(sha256: str) -> bytes:
    """The payload with this hash. ArchiveDamaged when it is missing or its bytes are not what they were."""
    content = _stored(sha256)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is not what was archived: its hash differs", sha256)
    return content


def _stored(sha256: str) -> bytes:
    """The payload under this hash. ArchiveDamaged when there is none, or it cannot be read."""
    path = path_of(sha256)
    try:
        with default_storage.open(path) as stored:
            return zstandard.ZstdDecompressor().decompress(stored.read(), max_output_size=2**31)
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is missing ({path})", sha256) from error
    except OSError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be read: {error.strerror}", sha256) from error
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged header may declare any size
        why = str(error) or "it declares a size that does not fit into memory"
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be decompressed: {why}", sha256) from error
