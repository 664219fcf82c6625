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
from dataclasses import asdict, dataclass, fields

import polars as pl
from polars.selectors import categorical, enum

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.rows import SCHEMA
from pipeline.models import Capture
from pipeline.models.data_kinds import manage_py
from pipeline.resilience.failures import PASSING
from pipeline.vintages import files, footer, payloads
from pipeline.vintages.files import StorageAway

FOLDER = "vintages"
EMPTY = "nothing is in that folder, though the ledger has captures: is it mounted? If its files are lost,"
ABOUT = (
    "The rows of each capture, one Parquet file each: {week ending}/{tier}/v{version}-{content hash}.parquet\n"
    "The ledger says which of them is the newest of its partition, and which was at an instant.\n"
)
IS_A_FOLDER = "is a folder: move that away"
ARROW_SCHEMA = "ARROW:schema"  # the key under which a Parquet file has the types of its columns in Arrow
ROW_GROUP = 16_384  # rows: one symbol is in one group, in a few places two; a group reads in a millisecond
PAGE = 2**16  # bytes: within a group, the pages of a column that have no row of the symbol are not unpacked


class VintageDamaged(Exception):
    """A vintage file is missing, or is not what was written: `how`. The message says which, and what repairs it."""

    def __init__(self, message: str, path: str, how: str) -> None:
        super().__init__(message)
        self.path, self.how = path, how


@dataclass(frozen=True, slots=True)
class Label:
    """The key-value metadata of a vintage file."""

    capture_id: str
    version: int
    content_hash: str
    payload_sha256: str
    parser_version: int


# The key-value metadata of a file that has no label yet.
TO_COME = {field.name: f"<{field.name} to come>" for field in fields(Label)}


@dataclass(frozen=True, slots=True)
class VintageFile:
    """A file that was written: its path in the storage, its bytes and their SHA-256, its rows."""

    path: str
    size: int
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The bytes of a vintage file whose label is not known yet, and its rows."""

    content: bytes
    rows: int


def write(key: PartitionKey, frame: pl.DataFrame, label: Label) -> VintageFile:
    """Write the rows of a capture that is to be made; all of it is on the disk when this returns.

    `frame` has the columns of `rows.SCHEMA`, texts of which may be categories, in the order of `rows.in_order`; others are
    not written. StorageAway when the storage is not mounted.
    """
    return write_encoded(key, encode(frame), label)


def encode(frame: pl.DataFrame) -> Unlabelled:
    """The rows of a capture that may be made, as `write` takes them: most of the work of its file needs no label."""
    return Unlabelled(encoded(frame.select(SCHEMA.names()), TO_COME), frame.height)


@checkpoints("vintage.write")
def write_encoded(key: PartitionKey, rows: Unlabelled, label: Label) -> VintageFile:
    """As `write`, of rows that are encoded."""
    name = f"v{label.version:04}-{label.content_hash[:12]}.parquet"
    return _place(f"{FOLDER}/{key.week_ending}/{key.tier}/{name}", labelled(rows, label), rows.rows)


def labelled(rows: Unlabelled, label: Label) -> bytes:
    """The bytes of a vintage file: those that would be encoded with its label."""
    return footer.with_values(rows.content, {TO_COME[field]: value for field, value in _metadata(label).items()})


def _metadata(label: Label) -> dict[str, str]:
    return {field: str(value) for field, value in asdict(label).items()}


def write_parquet(path: str, frame: pl.DataFrame, metadata: Mapping[str, str], group: int = ROW_GROUP) -> VintageFile:
    """Write a file that is derived from captures, with the same care, in row groups of `group` rows.

    `VintageFile.path` says which name it got.
    """
    return _place(path, encoded(frame, metadata, group), frame.height)


def _place(path: str, content: bytes, rows: int) -> VintageFile:
    check_mounted()
    return VintageFile(files.place(path, content), len(content), _sha256(content), rows)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def encoded(frame: pl.DataFrame, metadata: Mapping[str, str], group: int = ROW_GROUP) -> bytes:
    """A frame as the bytes of a Parquet file. Its categories are texts there.

    polars takes twenty times as long for a text that is the same in all rows, worst of all an empty one, as for a category
    of one: such columns are written as categories, and the file's own schema says to its readers that they are texts.
    """
    texts = frame.clear().with_columns((categorical() | enum()).cast(pl.String))
    schema = pl.read_parquet_metadata(io.BytesIO(_parquet(texts, {}, group)))[ARROW_SCHEMA]
    return _parquet(frame.with_columns(_constant_texts(frame)), {**metadata, ARROW_SCHEMA: schema}, group)


def _parquet(frame: pl.DataFrame, metadata: Mapping[str, str], group: int) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", row_group_size=group, data_page_size=PAGE, metadata=dict(metadata))
    return buffer.getvalue()


def _constant_texts(frame: pl.DataFrame) -> list[pl.Expr]:
    """The columns of one text, as categories."""
    texts = [column for column in frame.iter_columns() if column.dtype == pl.String and not column.null_count()]
    constant = [column for column in texts if len(column) and (column == column[0]).all()]
    return [pl.lit(column[0], pl.Enum([column[0]])).alias(column.name) for column in constant]


def verify(capture: Capture) -> None:
    """VintageDamaged unless a capture's file is there and what was written; StorageAway when nothing is there."""
    content = content_of(capture)
    if _sha256(content) != capture.vintage_sha256:
        raise _damaged(capture, "is not what was written: its hash differs")


def content_of(capture: Capture) -> bytes:
    """The bytes of a capture's file, not verified. VintageDamaged when it is not there, StorageAway."""
    try:
        return files.content_of(capture.vintage_path)
    except FileNotFoundError:
        check_mounted()
        raise missing(capture) from None
    except OSError as error:
        raise _damaged(capture, unreadable(error)) from error


def unreadable(error: OSError) -> str:
    """How a file is damaged that cannot be read; what may pass is raised again."""
    if error.errno in PASSING:
        raise error
    return IS_A_FOLDER if isinstance(error, IsADirectoryError) else f"cannot be read: {error.strerror}"


def rebuild(capture: Capture) -> VintageFile:
    """Make a capture's file again from its archived payload, in the place of what is left of it; the ledger gets its hash.

    ArchiveDamaged when the payload is lost or not read any more; VintageDamaged when it reads as other rows than captured.
    """
    content = payloads.read_archived(capture)
    if content.content_hash != capture.content_hash:
        raise _damaged(capture, "cannot be made again: its payload does not read as the captured rows any more")
    encoded_rows = labelled(encode(content.keyed), _label_of(capture))
    try:
        files.save(capture.vintage_path, encoded_rows)
    except IsADirectoryError:
        raise _damaged(capture, f"cannot be made again: it {IS_A_FOLDER}") from None
    file = VintageFile(capture.vintage_path, len(encoded_rows), _sha256(encoded_rows), content.rows_kept)
    _record(capture, file)
    return file


def _label_of(capture: Capture) -> Label:
    same = capture.content_hash, capture.payload_sha256, capture.parser_version
    return Label(capture.capture_id, capture.version, *same)


def _record(capture: Capture, file: VintageFile) -> None:
    """Another version of polars may write other bytes. A capture that retention gave up meanwhile keeps no file."""
    capture.vintage_bytes, capture.vintage_sha256 = file.size, file.sha256
    held = Capture.objects.filter(pk=capture.pk, pruned_at__isnull=True)
    if not held.update(vintage_bytes=file.size, vintage_sha256=file.sha256):
        discard(file.path)


def missing(capture: Capture) -> VintageDamaged:
    """That a capture's file is not there."""
    return _damaged(capture, "is missing")


def changed(capture: Capture, how: str) -> VintageDamaged:
    """That a capture's file is not what was written."""
    return _damaged(capture, how)


def _damaged(capture: Capture, how: str) -> VintageDamaged:
    path = capture.vintage_path
    repair = f"{manage_py()} rebuild_vintages --weeks {capture.partition.week_ending}"
    return VintageDamaged(f"{capture}: its vintage file {how} ({path}); `{repair}` makes it again", path, how)


def discard(path: str) -> None:
    """Remove a file that retention gives up, where it is there."""
    files.remove(path)


def check_mounted() -> None:
    """StorageAway when the ledger has captures and the storage's folder of them is not there, or is empty.

    So a folder looks that is not mounted, and a wrong bucket or prefix: it is no empty archive, and what is written there
    is lost to the others.
    """
    if is_bare() and Capture.objects.normalized().filter(pruned_at__isnull=True).exists():
        raise StorageAway(errno.ESTALE, f"{EMPTY} `{manage_py()} rebuild_vintages` begins anew", files.shown(FOLDER))


def is_bare() -> bool:
    """Whether nothing is in the folder of the vintage files."""
    return files.is_empty(FOLDER)


def begin_anew() -> None:
    """Take a bare folder for the right one, because a person says so: from then on it is not taken for one that is away."""
    if is_bare():
        files.save(f"{FOLDER}/README.txt", ABOUT.encode())
