"""The SHA-256 of a local file, computed once in a process while the file stays the same."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

SEEN_WHOLE = 4096  # files whose hash a process remembers


def of_file(path: str) -> str:
    """Its hash. OSError when it cannot be read."""
    found = os.stat(path)
    return _hash_of(path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(SEEN_WHOLE)
def _hash_of(path: str, _stamp: tuple[int, ...]) -> str:
    """The hash, kept until the file's stamp changes."""
    with open(path, "rb") as stored:
        return hashlib.file_digest(stored, "sha256").hexdigest()
