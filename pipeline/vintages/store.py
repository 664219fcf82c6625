"""Vintage files: the rows of a capture as one Parquet file, written before the capture is, and never changed.

    vintages/{week_ending}/{tier}/v{version:04}-{content_hash[:12]}.parquet

A name that other bytes have already is not taken from them: the file gets a longer one, and the capture records which. Two
writers of one partition never harm each other. A writer whose capture is not made leaves its file: an orphan is harmless,
and another writer of the same rows may have taken it for its own. Only retention and `rebuild` touch what is written.
"""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

import polars as pl
from django.core.files.storage import default_storage

from pipeline.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.vintages import files

FOLDER = "vintages"
ROW_GROUP = 16_384  # rows: one symbol is in one group, in a few places two; a group reads in a millisecond


class StorageAway(OSError):
    """The folder of the storage is empty, though the ledger has captures: it is not mounted. Passes (`errno.ESTALE`)."""


class VintageDamaged(Exception):
    """A capture's vintage file is missing, or is not what was written; the message says which and how."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Label:
    """What a vintage file says of itself, as the key-value metadata of Parquet."""

    capture_id: str
    version: int
    content_hash: str
    payload_sha256: str
    parser_version: int


@dataclass(frozen=True, slots=True)
class VintageFile:
    """A file that was written: its path in the storage, its bytes and their SHA-256, its rows."""

    path: str
    size: int
    sha256: str
    rows: int


def write(key: PartitionKey, frame: pl.DataFrame, label: Label) -> VintageFile:
    """Write the rows of a capture that is to be made; all of it is on the disk when this returns.

    `frame` has the columns and the order of `rows.in_order`. StorageAway when the storage is not mounted.
    """
    name = f"v{label.version:04}-{label.content_hash[:12]}.parquet"
    metadata = {field: str(value) for field, value in asdict(label).items()}
    return write_parquet(f"{FOLDER}/{key.week_ending}/{key.tier}/{name}", frame, metadata)


def write_parquet(path: str, frame: pl.DataFrame, metadata: Mapping[str, str]) -> VintageFile:
    """Write a file that is derived from captures, with the same care. `VintageFile.path` says which name it got."""
    content = encoded(frame, metadata)
    check_mounted()
    placed = files.place(path, content)
    return VintageFile(placed, len(content), hashlib.sha256(content).hexdigest(), frame.height)


def encoded(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """A frame as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", row_group_size=ROW_GROUP, metadata=dict(metadata))
    return buffer.getvalue()


def verify(capture: Capture) -> None:
    """VintageDamaged unless a capture's file is there and what was written; StorageAway when nothing is there."""
    content = content_of(capture)
    if hashlib.sha256(content).hexdigest() != capture.vintage_sha256:
        raise _damaged(capture, "is not what was written: its hash differs")


def content_of(capture: Capture) -> bytes:
    """The bytes of a capture's file, whatever they are now. VintageDamaged when it is not there, StorageAway."""
    try:
        return files.content_of(capture.vintage_path)
    except FileNotFoundError:
        check_mounted()
        raise missing(capture) from None


def missing(capture: Capture) -> VintageDamaged:
    """That a capture's file is not there."""
    return _damaged(capture, "is missing")


def cut(capture: Capture) -> VintageDamaged:
    """That a capture's file cannot be read as Parquet, or has another size."""
    return _damaged(capture, "is not what was written")


def _damaged(capture: Capture, how: str) -> VintageDamaged:
    path = capture.vintage_path
    return VintageDamaged(f"{capture}: its vintage file {how} ({path}); rebuild_vintages makes it again", path)


def discard(path: str) -> None:
    """Remove a file that retention gives up, where it is there."""
    default_storage.delete(path)


def check_mounted() -> None:
    """StorageAway when the ledger has captures and the storage's folder of them is not there, or is empty.

    So a folder looks that is not mounted: it is no empty archive, and what is written there is lost to the others. A storage
    that is not of this machine says itself when it cannot be reached.
    """
    if _is_bare(FOLDER) and Capture.objects.normalized().filter(pruned_at__isnull=True).exists():
        raise StorageAway(
            errno.ESTALE, "nothing is in that folder, though the ledger has captures: is it mounted?", _shown(FOLDER)
        )


def _is_bare(folder: str) -> bool:
    if not files.is_of_this_machine(folder):
        return False
    with suppress(FileNotFoundError):
        return not any(default_storage.listdir(folder))
    return True


def _shown(folder: str) -> str:
    return default_storage.path(folder)
