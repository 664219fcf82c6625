"""What a source is, and what it returns: a payload, the bytes exactly as fetched.

A payload of one ATS file is that file's bytes, so its SHA-256 is the file's. A payload of several parts (the ATS
file and the non-ATS file of one partition) is a deterministic POSIX tar of them, which any tar can open.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pipeline.calendar import PartitionKey

if TYPE_CHECKING:
    from pipeline.sources.finra_api.decoding import Rows

MOST_ROWS = 500_000  # of a partition; the largest of FINRA's has 168,000 (finra.md, "Rows")


class SourceError(Exception):
    """A source could not deliver; the message says what was wrong, where, and what to do."""


class NotPublished(SourceError):
    """The source has nothing for this partition (yet)."""


class UnusableReply(SourceError):
    """What came is not what was asked for. `content` is all of it, for the archive: it may be the only copy left."""

    def __init__(self, message: str, content: bytes) -> None:
        super().__init__(message)
        self.content = content


class CannotBeAsked(SourceError):
    """The source has this partition, and cannot say whether it moved: only a download would tell."""


class TransientSourceError(SourceError):
    """Trying again may help: a time-out, a reset, a 5xx. `after` is how long the source asked to wait, in seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class UnsafeSource(SourceError):
    """What was found is never read: outside the root, not a regular file, larger than the cap, ..."""


def too_many_rows(most: int) -> str:
    """What is wrong with a payload of more lines than may be, and what to do."""
    return f"more than {most:,} lines: if that is right, raise MARKETSPINE_MAX_ROWS"


class MixedData(SourceError):
    """Samples where only FINRA's data is taken, or FINRA's data where only samples are."""


class PayloadFormat(StrEnum):
    """How a payload's bytes are to be read."""

    PSV = "psv"
    PARTS = "psv-parts"
    PAGES = "finra-json-pages"

    @property
    def is_api(self) -> bool:
        """Whether it has the columns that only the API gives: product type, CRD number, notional."""
        return self is PayloadFormat.PAGES


# Every invented venue has it at the end of its name, so that no copy, no table and no other name of a file loses it. No
# name of FINRA's has it.
SAMPLE_MARK = " (SAMPLE)"


def is_sample(content: bytes) -> bool:
    """Whether a publication holds invented rows; in FINRA's file or in its JSON, but not compressed."""
    return SAMPLE_MARK.encode() in content


class PartName(StrEnum):
    """The parts of a partition's payload: ATS venues, and non-ATS firms."""

    ATS = "ats.psv"
    NON_ATS = "nonats.psv"

    @property
    def kind(self) -> str:
        """The kind of its venues, for a person: "ATS", "non-ATS"."""
        return "ATS" if self is PartName.ATS else "non-ATS"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a payload."""

    name: PartName
    content: bytes


@dataclass(frozen=True)
class Payload:
    """The bytes as fetched, with where from and when.

    `updated_at` is what the source says of its last update (a file's modification time), None when it says nothing.
    `decoded` are the rows of its pages, which the source decoded to check them: they are in the bytes, too, and spare their
    reader the same work.
    """

    content: bytes
    format: PayloadFormat
    uri: str
    fetched_at: datetime
    updated_at: datetime | None = None
    decoded: Sequence[Rows] = field(default=(), repr=False, compare=False)

    @cached_property
    def sha256(self) -> str:
        """The payload hash: 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def is_sample(self) -> bool:
        """Whether it holds invented rows."""
        return is_sample(self.content)


class Source(Protocol):
    """Where payloads come from. Neither method may be called inside a database transaction."""

    name: str

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Which of `keys` the source can deliver now."""
        ...

    def fetch(self, key: PartitionKey) -> Payload:
        """The partition's payload.

        Raises NotPublished when there is none, TransientSourceError when another try may help, SourceError otherwise.
        """
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How a partition stands at the source: rows updated after a day, rows updated on it, rows in all."""

    newer: int
    same: int
    rows: int


@runtime_checkable
class Asking(Source, Protocol):
    """A source that can be asked cheaply whether a partition moved, without fetching it."""

    def standing(self, key: PartitionKey, since: date, *, totals_too: bool) -> Standing:
        """How many of its rows have a later lastUpdateDate than `since`, how many just that, and how many there are.

        Of its rows by symbol and firm, and with `totals_too` of its totals by symbol as well.
        Raises NotPublished when the source has nothing of it, CannotBeAsked when only a download would tell.
        """
        ...


def pack(parts: tuple[Part, ...]) -> tuple[bytes, PayloadFormat]:
    """The bytes and format of a payload made of `parts`: the same parts give the same bytes."""
    if [part.name for part in parts] == [PartName.ATS]:
        return parts[0].content, PayloadFormat.PSV
    return tar_of((part.name, part.content) for part in parts), PayloadFormat.PARTS


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A plain POSIX tar of named contents: the same members give the same bytes."""
    blocks = [block for name, content in members for block in _tar_blocks(name, content)]
    end = 2 * tarfile.BLOCKSIZE
    end += -(sum(map(len, blocks)) + end) % tarfile.RECORDSIZE
    return b"".join([*blocks, bytes(end)])


def _tar_blocks(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    """A member of a tar: header, content, padding. `tarfile` itself would copy the content twice."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % tarfile.BLOCKSIZE)


def unpack(content: bytes, payload_format: PayloadFormat) -> tuple[Part, ...]:
    """The parts of a payload, as they were packed."""
    if payload_format is PayloadFormat.PSV:
        return (Part(PartName.ATS, content),)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        return tuple(
            Part(PartName(member.name), extracted.read())
            for member in archive.getmembers()
            if (extracted := archive.extractfile(member)) is not None
        )
