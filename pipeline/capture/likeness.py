"""How alike the rows of two publications are, told from a sketch of each. Pure: no database.

A sketch keeps the smallest hashes of a publication's rows, at most 1,024 ("k minimum values"). Two of them tell which
share of one publication's rows the other has, within about two points for 168,000 rows, from 4 kB each: so a publication
can be compared with every captured week of its tier. A sketch finds whom to compare with row by row.

A row's likeness is its key, shares and trades, in the columns that every source has. Its hash is the CRC-32 of
`symbol|issue name|MPID, or firm|millionths of shares|trades`: sketches that are kept depend on no library.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection
from dataclasses import dataclass
from zlib import crc32

import polars as pl

from pipeline.finra.rows import IS_ATS

KEPT = 1024
CEILING = 2**32 - 1
FEWEST = 64  # sampled rows from which a share is estimated
OF_FILE = ("venue_name", "shares", "trades")
OF_CHANGES = ("firm", "after_shares", "after_trades")


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


def sketch(frame: pl.DataFrame) -> Sketch:
    """The sketch of a publication's rows."""
    texts = of_rows(frame).to_list()
    return _smallest({crc32(text.encode()) for text in texts})


def _smallest(hashes: Collection[int]) -> Sketch:
    if len(hashes) <= KEPT:
        return Sketch(frozenset(hashes), CEILING)
    smallest = heapq.nsmallest(KEPT, hashes)
    return Sketch(frozenset(smallest), smallest[-1])


def share_in(one: Sketch, other: Sketch) -> float:
    """About which share (0-1) of the rows of `one` the other has; 1 where the sketches have too little to tell."""
    ceiling = min(one.ceiling, other.ceiling)
    sampled = {each for each in one.hashes if each <= ceiling}
    if ceiling < CEILING and len(sampled) < FEWEST:
        return 1.0
    return len(sampled & other.hashes) / max(len(sampled), 1)


def of_rows(frame: pl.DataFrame) -> pl.Series:
    """The likeness of each row."""
    return _texts(frame, *OF_FILE)


def of_new_rows(changes: pl.DataFrame) -> pl.Series:
    """The likeness of each row that is new or changed, as it is after the changes."""
    return _texts(changes.filter(pl.col("after_shares").is_not_null()), *OF_CHANGES)


def _texts(frame: pl.DataFrame, firm: str, shares: str, trades: str) -> pl.Series:
    text = pl.concat_str(
        pl.col("symbol", "issue_name"),
        pl.when(IS_ATS).then("mpid").otherwise(firm),
        pl.col(shares).to_physical().cast(pl.String),
        pl.col(trades).cast(pl.String),
        separator="|",
    )
    return frame.select(text.alias("likeness")).to_series()


def same(new: pl.Series, others: pl.Series) -> int:
    """How many of the likenesses, each counted once, are among others."""
    unique = new.unique()
    return int(unique.is_in(others.implode()).sum())
