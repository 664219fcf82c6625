"""An answer as a file: whole or not at all, never over another one unasked, with what it says of itself beside it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.readers import formats
from pipeline.readers.result import Result

META = ".meta.json"


class Format(StrEnum):
    """The forms of a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class AlreadyThere(Exception):
    """A file has the name, and it was not said that it may be replaced."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file: where, of how many rows and bytes, its SHA-256; `changed` is False where it was as it should be already."""

    path: str
    rows: int
    size: int
    sha256: str
    changed: bool


def encoded(result: Result, form: Format, *, spreadsheet_safe: bool = False) -> bytes:
    """The rows of an answer in a form. ReadersError."""
    if form is Format.PARQUET:
        return formats.parquet(result.frame, result.meta)
    if form is Format.NDJSON:
        return formats.ndjson(result.frame).encode()
    frame = formats.without_formulas(result.frame) if spreadsheet_safe else result.frame
    return formats.csv(frame).encode()


def write(result: Result, form: Format, path: Path, *, replace: bool, content: bytes | None = None) -> Written:
    """Write an answer, and what it says of itself to `{path}.meta.json`. AlreadyThere, ReadersError, OSError."""
    if path.exists() and not replace:
        raise AlreadyThere(f"{path} is there already: --force replaces it")
    content = encoded(result, form) if content is None else content
    put(path, content)
    written = Written(str(path), result.frame.height, len(content), hashlib.sha256(content).hexdigest(), changed=True)
    document = {**result.meta.as_document(), "etag": result.etag, "rows": written.rows, "sha256": written.sha256}
    document["warnings"] = [{"code": one.code, "text": one.text} for one in result.warnings]
    put(beside(path), json.dumps(document, indent=1, sort_keys=True).encode())
    return written


def beside(path: Path) -> Path:
    """The file that says what another one is."""
    return path.with_name(path.name + META)


def as_it_should_be(result: Result, path: Path) -> Written | None:
    """The file, where it was made from the same inputs and is whole; None otherwise. No vintage file is opened."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said, content = json.loads(beside(path).read_bytes()), path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if (said["etag"], said["sha256"]) == (result.etag, sha256):
            return Written(str(path), int(said["rows"]), len(content), sha256, changed=False)
    return None


def put(path: Path, content: bytes) -> None:
    """Write a file under a name of its own, and give it the right one once all of it is on the disk. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def zipped(content: bytes) -> bytes:
    """Gzip, the same bytes whenever it is done."""
    return gzip.compress(content, mtime=0)
