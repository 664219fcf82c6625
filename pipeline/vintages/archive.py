"""The archive: payloads, zstd-compressed and named by their SHA-256, in Django's default storage.

A parser bug is repaired from here: FINRA does not offer an earlier vintage any more. A payload is
archived before its capture is written: an orphan is harmless, a capture without its payload is not.

A file ends in a checksum of its own: SHA-256 over the compressed bytes and the payload's hash, in a frame that every zstd
skips (RFC 8878, 3.1.2). It proves a file to be what was written from a tenth of the bytes, without decompressing any.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from contextlib import suppress

import zstandard
from django.core.files.storage import default_storage

from pipeline.checkpoints import checkpoints
from pipeline.finra import zstd
from pipeline.vintages import files
from pipeline.vintages.files import StorageAway

SUFFIX = ".zst"
SKIPPED = (0x184D2A5C).to_bytes(4, "little") + hashlib.sha256().digest_size.to_bytes(4, "little")
CHECKSUM_BYTES = len(SKIPPED) + hashlib.sha256().digest_size


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


def put(content: bytes, sha256: str) -> None:
    """Archive a payload under its hash; one that is there and whole is left as it is, one that is not is replaced."""
    put_compressed(lambda: zstd.compressed(content), sha256)


@checkpoints("archive")
def put_compressed(compress: Callable[[], bytes], sha256: str) -> None:
    """As `put`, of a payload that `compress` returns as a zstd frame: it is asked for that only where it is needed."""
    if not _restore(compress, sha256):
        files.flush_folders(path_of(sha256))


def restore(content: bytes, sha256: str) -> bool:
    """Archive a payload as `put` does; whether it was missing or damaged. One without its checksum gets it again."""
    return _restore(lambda: zstd.compressed(content), sha256)


def _restore(compress: Callable[[], bytes], sha256: str) -> bool:
    was_lost = True
    with suppress(ArchiveDamaged):
        stored = _stored(sha256)
        if _is_as_written(stored, sha256):
            return False
        _proved(stored, sha256)
        was_lost = False
    stored = compress()
    files.save(path_of(sha256), stored + _checksum(stored, sha256))
    return was_lost


def is_as_written(sha256: str) -> bool:
    """Whether it is there, and its file's checksum says that it is to its last byte what was written."""
    with suppress(ArchiveDamaged):
        return _is_as_written(_stored(sha256), sha256)
    return False


def _is_as_written(stored: bytes, sha256: str) -> bool:
    return stored[-CHECKSUM_BYTES:] == _checksum(memoryview(stored)[:-CHECKSUM_BYTES], sha256)


def _checksum(compressed: bytes | memoryview, sha256: str) -> bytes:
    """The end of a file: it binds the compressed bytes to the payload that they are of."""
    digest = hashlib.sha256(compressed)
    digest.update(sha256.encode())
    return SKIPPED + digest.digest()


def present(hashes: Collection[str]) -> set[str]:
    """The payloads that are there, whole or not. ArchiveDamaged when the storage cannot be asked."""
    found = present_files({path_of(sha256) for sha256 in hashes})
    return {sha256 for sha256 in hashes if path_of(sha256) in found}


def present_files(paths: Collection[str]) -> set[str]:
    """The files that are there, whole or not, by one listing of each folder that they are in.

    ArchiveDamaged when the storage cannot be listed, StorageAway.
    """
    folders = {os.path.dirname(path) for path in paths}
    return {f"{folder}/{name}" for folder in folders for name in names(folder)}.intersection(paths)


def names(folder: str) -> list[str]:
    """The files in a folder of the archive; none where there is no such folder.

    ArchiveDamaged when it cannot be listed, StorageAway.
    """
    try:
        return list(default_storage.listdir(folder)[1])
    except FileNotFoundError:
        return []
    except StorageAway:
        raise
    except Exception as error:  # each storage fails in a way of its own
        said = isinstance(error, OSError) and error.strerror
        raise ArchiveDamaged(f"the archive cannot be listed: {said or f'{type(error).__name__}: {error}'}") from error


def is_there(sha256: str) -> bool:
    """Whether it is there, whole or not."""
    return default_storage.exists(path_of(sha256))


def is_whole(sha256: str) -> bool:
    """Whether it is there and what was archived; it is read whole."""
    try:
        verified(sha256)
    except ArchiveDamaged:
        return False
    return True


def verified(sha256: str) -> bytes:
    """The payload with this hash, of a file that is to its last byte what was written. ArchiveDamaged otherwise.

    A file that was compressed by hand has no checksum, and nothing else may stand in its place.
    """
    stored = _stored(sha256)
    content = _proved(stored, sha256)
    if not _is_as_written(stored, sha256) and _behind_the_frame(stored):
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is cut short: its checksum is damaged", sha256)
    return content


def _behind_the_frame(stored: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().decompressobj()
    reader.decompress(stored)
    return reader.unused_data


def get(sha256: str) -> bytes:
    """The payload with this hash. ArchiveDamaged when it is missing or its bytes are not what they were."""
    return _proved(_stored(sha256), sha256)


def _proved(stored: bytes, sha256: str) -> bytes:
    """The content of a file. ArchiveDamaged when it is not the payload."""
    content = _decompressed(stored, sha256)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is not what was archived: its hash differs", sha256)
    return content


def _stored(sha256: str) -> bytes:
    """The file of a payload. ArchiveDamaged when there is none, or none that can be read."""
    path = path_of(sha256)
    try:
        return files.content_of(path)
    except StorageAway:
        raise
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} is missing ({path})", sha256) from error
    except OSError as error:
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be read: {error.strerror}", sha256) from error


def _decompressed(stored: bytes, sha256: str) -> bytes:
    """The content of a file, payload or not. ArchiveDamaged when it cannot be decompressed."""
    try:
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=2**31)
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged header may declare any size
        why = str(error) or "it declares a size that does not fit into memory"
        raise ArchiveDamaged(f"the archived payload {sha256[:16]} cannot be decompressed: {why}", sha256) from error
