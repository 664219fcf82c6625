"""Copies of a bucket's Parquet files in a folder of this machine. The files never change, so no copy goes stale.

A copy is named by its hash, and each process checks it once. When the folder has grown too large, the copies that were not
used for longest go first, and none that may be in use. The processes of a machine share the folder.
"""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from pipeline.vintages import files, hashes

logger = logging.getLogger(__name__)

IN_USE_SECONDS = 15 * 60  # a question reads its files within this time after it has asked for them
ROOM_EVERY_SECONDS = 60.0
_looked_at = 0.0


def copy_of(path: str, sha256: str) -> str | io.BytesIO | None:
    """A copy of a bucket's file, or its bytes where no copy can be kept; None where the hash differs.

    FileNotFoundError when it is not in the bucket, StorageAway.
    """
    copy = Path(settings.MARKETSPINE_CACHE_DIR) / sha256[:2] / f"{sha256}{Path(path).suffix}"
    if _is_whole(copy, sha256):
        return str(copy)
    content = files.content_of(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        return None
    try:
        _keep(copy, content)
    except OSError as error:
        logger.warning("the cache %s cannot be written: %s", settings.MARKETSPINE_CACHE_DIR, error.strerror)
        return io.BytesIO(content)
    return str(copy)


def _is_whole(copy: Path, sha256: str) -> bool:
    """Whether the copy is there and whole; its time of use becomes now, which its hash does not depend on."""
    with suppress(OSError):
        if hashes.of_file(str(copy)) == sha256:
            if time.time() - copy.stat().st_mtime > ROOM_EVERY_SECONDS:
                copy.touch()
            return True
    return False


def _keep(copy: Path, content: bytes) -> None:
    _make_room()
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        part.replace(copy)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _make_room() -> None:
    """Once a minute: remove the copies used longest ago, until the folder is small enough."""
    global _looked_at  # noqa: PLW0603 - one clock of the process
    now = time.monotonic()
    if _looked_at and now - _looked_at < ROOM_EVERY_SECONDS:
        return
    _looked_at = now
    copies = sorted(_copies())
    excess = sum(size for _, size, _ in copies) - settings.MARKETSPINE_CACHE_BYTES
    for used_at, size, copy in copies:
        if excess <= 0 or time.time() - used_at < IN_USE_SECONDS:
            return
        copy.unlink(missing_ok=True)
        excess -= size


def _copies() -> list[tuple[float, int, Path]]:
    """The time of the last use, the size and the path of each copy, less those just removed by another process."""
    found = []
    for copy in Path(settings.MARKETSPINE_CACHE_DIR).glob("*/*"):
        with suppress(OSError):
            stat = copy.stat()
            found.append((stat.st_mtime, stat.st_size, copy))
    return found
