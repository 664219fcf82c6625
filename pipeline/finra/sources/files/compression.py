"""Decompression that trusts nothing: it inflates no more bytes and lines than a cap, and refuses incomplete files.

Both formats may hold several members (gzip) or frames (zstd) one after the other, as `cat a.gz b.gz` makes them; their
contents are read as one.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import zstandard

from pipeline.finra.sources.base import MOST_ROWS, SourceError, UnsafeSource, too_many_rows

STEP = 1024 * 1024


class Compression(StrEnum):
    """The formats read, by the suffix of their files."""

    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"

    @classmethod
    def by_suffix(cls, name: str) -> Compression:
        """The compression by a file's suffix; without a known one it is plain."""
        return next((one for one in (cls.GZIP, cls.ZSTD) if name.lower().endswith(one)), cls.NONE)

    @classmethod
    def by_magic(cls, content: bytes) -> Compression:
        """The compression by the first bytes (RFC 1952, 2.3.1; RFC 8878, 3.1.1); no text begins with either."""
        if content.startswith(b"\x1f\x8b"):
            return cls.GZIP
        is_zstd = content.startswith(zstandard.FRAME_HEADER) or _is_skippable(content)
        return cls.ZSTD if is_zstd else cls.NONE


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def decompress(content: bytes, compression: Compression, name: str, max_bytes: int, max_rows: int = MOST_ROWS) -> bytes:
    """The content as it was before compression, at most `max_bytes` and `max_rows` lines below the header.

    UnsafeSource when there would be more; SourceError when it is cut short or damaged. `name` is for the message. Content
    that is not compressed is returned as it is.
    """
    if compression is Compression.NONE:
        return content
    try:
        inflated = _inflate(content, compression, max_bytes, _Lines(name, max_rows))
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise SourceError(f"{name} is cut short or damaged: {error}; fetch it again") from error
    if len(inflated) > max_bytes:
        raise UnsafeSource(
            f"{name} is larger than {max_bytes} bytes when decompressed: if that is right, "
            "raise MARKETSPINE_MAX_FILE_BYTES"
        )
    return inflated


@dataclass(slots=True)
class _Lines:
    """Counts the lines of a file as its bytes come, so that a bomb of newlines is refused while it is small."""

    name: str
    most: int
    counted: int = 0

    def count(self, piece: bytes) -> None:
        self.counted += piece.count(b"\n")
        if self.counted > self.most + 1:  # the header
            raise UnsafeSource(f"{self.name} has {too_many_rows(self.most)}")


def _inflate(content: bytes, compression: Compression, max_bytes: int, lines: _Lines) -> bytes:
    """At most one byte more than `max_bytes`; EOFError when the input ends too early."""
    if not content:
        raise EOFError("it is empty")
    if compression is Compression.GZIP:
        return _read(gzip.GzipFile(fileobj=io.BytesIO(content)), max_bytes + 1, lines)
    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as stream:
        inflated = _read(stream, max_bytes + 1, lines)
    if len(inflated) <= max_bytes and not _ends_with_a_frame(content):
        raise EOFError("its last frame is not whole")
    return inflated


def _read(stream: _Stream, most: int, lines: _Lines) -> bytes:
    """Up to `most` bytes, read in steps: one large read would allocate all of `most` at once."""
    inflated = io.BytesIO()
    while (missing := most - inflated.tell()) and (step := stream.read(min(STEP, missing))):
        lines.count(step)
        inflated.write(step)
    return inflated.getvalue()


def _ends_with_a_frame(content: bytes) -> bool:
    """Whether the bytes end with a zstd frame: `stream_reader` takes a cut input for a finished one."""
    at = 0
    while at < len(content):
        at = _frame_end(content, at)
    return at == len(content)


def _frame_end(content: bytes, at: int) -> int:
    """The end of the frame that begins at `at`; beyond the content when that is cut short (RFC 8878, 3.1).

    A block's header is 3 bytes, little-endian: 1 bit "last", 2 bits type, 21 bits size; a block of type 1 (RLE) holds
    a single byte, whatever its size says.
    """
    start = content[at : at + 18]  # no header is longer
    if _is_skippable(start):
        return at + 8 + int.from_bytes(start[4:8], "little")
    frame = zstandard.get_frame_parameters(start)
    at += zstandard.frame_header_size(start)
    last = False
    while not last:
        if at + 3 > len(content):
            return len(content) + 1
        header = int.from_bytes(content[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == 1 else size)
    return at + (4 if frame.has_checksum else 0)


def _is_skippable(start: bytes) -> bool:
    """Whether it is a frame without content, for notes of the program that wrote it (RFC 8878, 3.1.2)."""
    return int.from_bytes(start[:4], "little") & 0xFFFFFFF0 == 0x184D2A50
