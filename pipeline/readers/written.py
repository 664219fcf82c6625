"""An answer as a file: whole or not at all, never over another file unasked, with its meta in a file beside it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from pipeline.readers import formats
from pipeline.readers.meta import plain
from pipeline.readers.result import Result

META = ".meta.json"


class Format(StrEnum):
    """The forms of a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class AlreadyThere(Exception):
    """The path is taken: by something that is no file, or by a file that may not be replaced."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file: its path, rows, bytes and SHA-256; `changed` is False where it was up to date already."""

    path: str
    rows: int
    size: int
    sha256: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows in a form: the bytes, the number of rows, and the options (`form_of`)."""

    content: bytes
    rows: int
    form: str


def form_of(form: Format, *, spreadsheet_safe: bool = False, zipped: bool = False) -> str:
    """The options that make another file of the same rows."""
    return ", ".join((form.value, *(["spreadsheet-safe"] * spreadsheet_safe), *(["gzip"] * zipped)))


def encoded(result: Result, form: Format, *, spreadsheet_safe: bool = False, zipped: bool = False) -> Encoded:
    """The rows of an answer in a form; gzip's bytes do not depend on the time. ReadersError."""
    buffer = io.BytesIO()
    rows = write_rows(result, form, buffer, spreadsheet_safe=spreadsheet_safe)
    content = gzip.compress(buffer.getvalue(), mtime=0) if zipped else buffer.getvalue()
    return Encoded(content, rows, form_of(form, spreadsheet_safe=spreadsheet_safe, zipped=zipped))


def write_rows(result: Result, form: Format, file: IO[bytes], *, spreadsheet_safe: bool = False) -> int:
    """Write the rows of an answer to a file, text in batches; the number of rows. ReadersError."""
    if form is Format.PARQUET:
        file.write(formats.parquet(result.frame, result.meta))
        return result.frame.height
    rows = 0
    for number, batch in enumerate(result.batches()):
        if form is Format.NDJSON:
            formats.write_ndjson(batch, file)
        else:
            safe = formats.without_formulas(batch) if spreadsheet_safe else batch
            formats.write_csv(safe, file, header=number == 0)
        rows += batch.height
    if form is Format.NDJSON:
        file.write(formats.last_line(rows))
    return rows


def check_free(path: Path, *, replace: bool) -> None:
    """AlreadyThere where no file may be written: over a folder, a device or a pipe; over a file unless `replace`."""
    if path.is_dir():
        raise AlreadyThere(f"{path} is a folder: name a file in it")
    if path.exists() and not path.is_file():
        raise AlreadyThere(f"{path} is no regular file: `--out -` writes to stdout")
    if path.exists() and not replace:
        raise AlreadyThere(f"{path} is there already: --force replaces it")


def write(result: Result, of_it: Encoded, path: Path, *, replace: bool) -> Written:
    """Write an answer, and its meta to `{path}.meta.json`. AlreadyThere, OSError."""
    check_free(path, replace=replace)
    content = of_it.content
    put(path, content)
    written = Written(str(path), of_it.rows, len(content), hashlib.sha256(content).hexdigest(), changed=True)
    document = {**result.meta.as_document(), "etag": result.etag, "rows": written.rows, "sha256": written.sha256}
    document["form"] = of_it.form
    if result.summary is not None:
        document["summary"] = plain(result.summary)
    document["warnings"] = [{"code": one.code, "text": one.text} for one in result.warnings]
    put(beside(path), json.dumps(document, indent=1, sort_keys=True).encode())
    return written


def beside(path: Path) -> Path:
    """The path of the meta of a file."""
    return path.with_name(path.name + META)


def as_it_should_be(result: Result, path: Path, form: str) -> Written | None:
    """The file, if it is whole and of the same inputs and form; else None. No vintage file is opened."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said, content = json.loads(beside(path).read_bytes()), path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if (said["etag"], said["form"], said["sha256"]) == (result.etag, form, sha256):
            return Written(str(path), int(said["rows"]), len(content), sha256, changed=False)
    return None


def put(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, and rename it once all of it is on the disk. OSError.

    If the path is a link, the file that it leads to is replaced.
    """
    path = Path(os.path.realpath(path))  # not `resolve`, which fails on a link to itself
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:  # also when it is interrupted
        part.unlink(missing_ok=True)
        raise
