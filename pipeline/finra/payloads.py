"""A payload: the bytes exactly as fetched, and how its parts are packed.

A payload of one ATS file is that file's bytes, so its SHA-256 is the file's. A payload of several parts (the ATS
file and the non-ATS file of one partition) is a deterministic POSIX tar of them, which any tar can open.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from pipeline.finra.once import once

if TYPE_CHECKING:
    from pipeline.finra.sources.api.all_rows import AllRows

# Every invented venue has it at the end of its name, so that no copy, no table and no other name of a file loses it. No
# name of FINRA's has it.
SAMPLE_MARK = " (SAMPLE)"


class PayloadFormat(StrEnum):
    """How a payload's bytes are to be read."""

    PSV = "psv"
    PARTS = "psv-parts"
    PAGES = "finra-json-pages"

    @property
    def is_api(self) -> bool:
        """Whether it has the columns that only the API gives: product type, CRD number, notional."""
        return self is PayloadFormat.PAGES


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


@dataclass(frozen=True)
class Part:
    """One file of a payload."""

    name: PartName
    content: bytes

    @once
    def newlines(self) -> int:
        """How many newlines it has. polars counts lines in a sixth of the time, and unpacks what begins as compressed."""
        if not self.content[:2].isalpha():
            return self.content.count(b"\n")
        lines = pl.scan_csv(self.content, has_header=False, quote_char=None, schema={"line": pl.String})
        return int(lines.select(pl.len()).collect().item()) - (not self.content.endswith(b"\n"))

    @once
    def is_sample(self) -> bool:
        """Whether it holds invented rows."""
        return is_sample(self.content)

    @property
    def has_fields(self) -> bool:
        """Whether its first line is one of fields: an error page has none, and is no data at all."""
        return b"|" in self.content[: self.content.find(b"\n") + 1]


def nothing() -> None:
    """Nothing is left to check."""


@dataclass(frozen=True)
class Payload:
    """The bytes as fetched, in pieces that follow one another, with where from and when.

    `updated_at` is what the source says of its last update (a file's modification time), None when it says nothing.
    `decoded` are the rows of its pages, which the source read to check them, and `parts` the files that it is made of:
    they are in the bytes, too, and spare their reader the same work. `hashed` is the SHA-256, and `compressed` the bytes as
    a zstd frame, where the source made both as the bytes came. `check` is what its source has still to look at in bytes
    that it has not delivered before: it raises SourceError as `fetch` does.
    """

    pieces: tuple[bytes, ...] = field(repr=False)
    format: PayloadFormat
    uri: str
    fetched_at: datetime
    updated_at: datetime | None = None
    decoded: AllRows | None = field(default=None, repr=False, compare=False)
    parts: tuple[Part, ...] = field(default=(), repr=False, compare=False)
    hashed: str = field(default="", repr=False, compare=False)
    compressed: bytes | None = field(default=None, repr=False, compare=False)
    check: Callable[[], None] = field(default=nothing, repr=False, compare=False)

    @once
    def content(self) -> bytes:
        """All of the bytes. For one that is held already they are never put together."""
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(map(len, self.pieces))

    @once
    def sha256(self) -> str:
        """The payload hash: 64 hex digits."""
        if self.hashed:
            return self.hashed
        digest = hashlib.sha256()
        for piece in self.pieces:
            digest.update(piece)
        return digest.hexdigest()

    @once
    def is_sample(self) -> bool:
        """Whether it holds invented rows."""
        if self.decoded:
            return self.decoded.is_sample
        return any(part.is_sample for part in self.parts) if self.parts else is_sample(self.content)


def pack(parts: tuple[Part, ...]) -> tuple[bytes, PayloadFormat]:
    """The bytes and format of a payload made of `parts`: the same parts give the same bytes."""
    pieces, payload_format = pieces_of(parts)
    return b"".join(pieces), payload_format


def pieces_of(parts: tuple[Part, ...]) -> tuple[tuple[bytes, ...], PayloadFormat]:
    """As `pack`, the bytes in pieces."""
    if [part.name for part in parts] == [PartName.ATS]:
        return (parts[0].content,), PayloadFormat.PSV
    return _tar_pieces((part.name, part.content) for part in parts), PayloadFormat.PARTS


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A plain POSIX tar of named contents: the same members give the same bytes."""
    return b"".join(_tar_pieces(members))


def _tar_pieces(members: Iterable[tuple[str, bytes]]) -> tuple[bytes, ...]:
    blocks = [block for name, content in members for block in tar_blocks(name, content)]
    return (*blocks, tar_end(sum(map(len, blocks))))


def tar_end(size: int) -> bytes:
    """The end of a tar whose members have so many bytes."""
    end = 2 * tarfile.BLOCKSIZE
    return bytes(end + -(size + end) % tarfile.RECORDSIZE)


def tar_blocks(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
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
