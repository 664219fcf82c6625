"""How alike the rows of two publications are, told from a sketch of each. Pure: no database.

A sketch keeps the smallest hashes of a publication's rows, at most 1,024 ("k minimum values"). Two of them tell which
share of one publication's rows the other has, within about two points for 168,000 rows, from 4 kB each: so a publication
can be compared with every captured week of its tier. A sketch finds whom to compare with row by row.

A row's likeness is its key, shares and trades, in the columns that every source has. Its hash is mixed from the CRC-32 of
`symbol|issue name`, that of the MPID or the firm, the millionths of shares and the trades: sketches that are kept depend on
no library, and texts are hashed once each, not once a row.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import cast
from zlib import crc32

import polars as pl

from pipeline.finra.rows import ATS, IS_ATS, NON_ATS, SECURITY, VENUE, with_keys

KEPT = 1024
CEILING = 2**32 - 1
MIXED = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)  # odd, of 64 bits
FEWEST = 64  # sampled rows from which a share is estimated
CHANCE = 0.01  # of less than FEWEST, none of which is shared: how probable that may be if so large a share were
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


@dataclass(frozen=True, slots=True)
class Sketches:
    """The sketches of a publication: of all its rows, and of those of each venue kind that it has."""

    of_all: Sketch
    of_kinds: Mapping[str, Sketch]


def sketch(frame: pl.DataFrame) -> Sketch:
    """The sketch of a publication's rows."""
    return sketches(frame).of_all


def sketches(frame: pl.DataFrame) -> Sketches:
    """The sketches of a publication's rows. That of all follows from those of the kinds."""
    hashes, is_ats = _hashes(frame), frame.select(IS_ATS).to_series()
    kinds = {ATS: hashes.filter(is_ats), NON_ATS: hashes.filter(~is_ats)}
    of_kinds = {kind: _smallest(of_kind) for kind, of_kind in kinds.items() if len(of_kind)}
    return Sketches(reduce(_together, of_kinds.values(), Sketch(frozenset(), CEILING)), of_kinds)


def _smallest(hashes: pl.Series) -> Sketch:
    different = hashes.bottom_k(2 * KEPT).unique()  # more than are kept, where few are the same
    if len(different) <= KEPT:
        different = hashes.unique()
    smallest = different.bottom_k(KEPT).to_list()
    return Sketch(frozenset(smallest), CEILING if len(different) <= KEPT else max(smallest))


def _together(one: Sketch, other: Sketch) -> Sketch:
    """The sketch of the rows of two."""
    smallest = sorted(one.hashes | other.hashes)
    if one.ceiling == other.ceiling == CEILING and len(smallest) <= KEPT:
        return Sketch(frozenset(smallest), CEILING)
    return Sketch(frozenset(smallest[:KEPT]), smallest[:KEPT][-1])


def _hashes(frame: pl.DataFrame) -> pl.Series:
    """The hash of each row, 32 bits: the upper ones of sums and products modulo 2^64."""
    keyed = with_keys(frame)
    parts = [
        _crcs(keyed[SECURITY], str),
        _crcs(keyed[VENUE], _name_of),
        frame["shares"].to_physical().cast(pl.UInt64),
        frame["trades"].cast(pl.UInt64),
    ]
    mixed = pl.sum_horizontal(
        [pl.lit(part) * pl.lit(factor, pl.UInt64) for part, factor in zip(parts, MIXED, strict=True)]
    )
    folded = (mixed ^ (mixed // 2**32)) * pl.lit(MIXED[0], pl.UInt64)
    return frame.select((folded // 2**32).cast(pl.UInt32)).to_series()


def _crcs(keys: pl.Series, text_of: Callable[[str], str]) -> pl.Series:
    """For each row the CRC-32 of what one half of its key says; keys that are the same are hashed once."""
    crcs = [crc32(text_of(key).encode()) for key in cast(pl.Enum, keys.dtype).categories]
    return pl.Series(crcs, dtype=pl.UInt64).gather(keys.to_physical())


def _name_of(venue: str) -> str:
    """The MPID of an ATS, which has one; the name of a firm.

    That of a rejected line is among the categories, too, and may have more pipes: no row is of it.
    """
    mpid, _crd, firm, *_ = venue.split("|")
    return mpid or firm


def may_share(one: Sketch, other: Sketch, limit: float) -> bool:
    """Whether the other may have so large a share (0-1) of the rows of `one`, or a little less, as far as sketches tell."""
    ceiling = min(one.ceiling, other.ceiling)
    sampled = {each for each in one.hashes if each <= ceiling}
    shared = len(sampled & other.hashes)
    if ceiling < CEILING and len(sampled) < FEWEST:
        return shared > 0 or (1 - limit) ** len(sampled) > CHANCE
    return shared >= limit / 2 * max(len(sampled), 1)


def of_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The `venue_kind` and the `likeness` of each row."""
    return _texts(frame, *OF_FILE)


def of_new_rows(changes: pl.DataFrame) -> pl.DataFrame:
    """Those of each row that is new or changed, as it is after the changes."""
    return _texts(changes.filter(pl.col("after_shares").is_not_null()), *OF_CHANGES)


def _texts(frame: pl.DataFrame, firm: str, shares: str, trades: str) -> pl.DataFrame:
    text = pl.concat_str(
        pl.col("symbol", "issue_name"),
        pl.when(IS_ATS).then("mpid").otherwise(firm),
        pl.col(shares).to_physical().cast(pl.String),
        pl.col(trades).cast(pl.String),
        separator="|",
    )
    return frame.select("venue_kind", text.alias("likeness"))


def same(new: pl.DataFrame, others: pl.DataFrame) -> dict[str, int]:
    """How many of the likenesses of each venue kind, each counted once, are among others."""
    shared = new.unique().filter(pl.col("likeness").is_in(others["likeness"].implode()))
    return dict(shared.group_by("venue_kind").len().iter_rows())
