"""How alike the rows of two publications are, told from a sketch of each. Pure: no database.

A sketch keeps the smallest hashes of a publication's rows, at most 1,024 ("k minimum values"). Two of them tell which
share of one publication's rows the other has, within about two points for 168,000 rows, from 4 kB each: so a publication
can be compared with every captured week of its tier. A sketch finds whom to compare with row by row.

A row's likeness is its key, shares and trades, in the columns that every source has: symbol, issue name, MPID or firm.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from zlib import crc32

from pipeline.parsed import Rows

KEPT = 1024
CEILING = 2**32 - 1
FEWEST = 64  # sampled rows from which a share is estimated


@dataclass(frozen=True, slots=True)
class Sketch:
    """The smallest hashes of a publication's rows: every hash up to `ceiling` is among `hashes`."""

    hashes: frozenset[int]
    ceiling: int

    def packed(self) -> bytes:
        """The hashes, four bytes each, in order."""
        return struct.pack(f"<{len(self.hashes)}I", *sorted(self.hashes))

    @classmethod
    def unpacked(cls, packed: bytes, ceiling: int) -> Sketch:
        """The sketch that was packed."""
        return cls(frozenset(struct.unpack(f"<{len(packed) // 4}I", packed)), ceiling)


def sketch(likenesses: Iterable[str]) -> Sketch:
    """The sketch of a publication."""
    return _smallest({crc32(likeness.encode()) for likeness in likenesses}, CEILING)


def restated(before: Sketch, gone: Iterable[str], fresh: Iterable[str]) -> Sketch:
    """The sketch of a publication that differs from the one before in these rows."""
    added = {crc32(likeness.encode()) for likeness in fresh}
    kept = before.hashes - {crc32(likeness.encode()) for likeness in gone}
    return _smallest(kept | {each for each in added if each <= before.ceiling}, before.ceiling)


def _smallest(hashes: Collection[int], ceiling: int) -> Sketch:
    if len(hashes) <= KEPT:
        return Sketch(frozenset(hashes), ceiling)
    smallest = heapq.nsmallest(KEPT, hashes)
    return Sketch(frozenset(smallest), smallest[-1])


def share_in(one: Sketch, other: Sketch) -> float:
    """About which share (0-1) of the rows of `one` the other has; 1 where the sketches have too little to tell."""
    ceiling = min(one.ceiling, other.ceiling)
    sampled = {each for each in one.hashes if each <= ceiling}
    if ceiling < CEILING and len(sampled) < FEWEST:
        return 1.0
    return len(sampled & other.hashes) / max(len(sampled), 1)


def of_rows(rows: Rows) -> Iterable[str]:
    """The likeness of each row."""
    venues = {venue: _venue(*venue.split("|", 2)) for venue in set(rows.venues)}
    columns = (rows.securities, map(venues.__getitem__, rows.venues), rows.micros, rows.trades)
    return map("|".join, zip(*columns, strict=True))


def of_canonical(lines: Iterable[str]) -> Iterable[str]:
    """The likeness of each canonical row."""
    for line in lines:
        symbol, issue, mpid, _crd, firm, _product_type, micros, trades, _rest = line.split("|", 8)
        yield f"{symbol}|{issue}|{mpid or firm}|{micros}|{trades}"


def _venue(mpid: str, _crd: str, firm: str) -> str:
    return mpid or firm
