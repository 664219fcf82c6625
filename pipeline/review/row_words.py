"""The words of a search as conditions on rows, as people write them; and names as the answer tells them."""

from __future__ import annotations

import polars as pl

NAMES_TOLD = 10
LAST = chr(0x10FFFF)  # no text that begins with a word sorts behind the word and this character


def symbol_is(word: str) -> pl.Expr:
    """The symbol as written, or in capitals. Row groups are passed over by their least and greatest symbols."""
    symbol = pl.col("symbol")
    return (symbol == word) | (symbol == word.upper())


def symbol_begins(word: str) -> pl.Expr:
    """A symbol that begins so, in capitals. A range, since a prefix would not let row groups be passed over."""
    symbol, start = pl.col("symbol"), word.upper()
    return (symbol >= start) & (symbol < start + LAST)


def venue_is(word: str) -> pl.Expr:
    """The MPID of an ATS, as written or in capitals, or a CRD number."""
    mpid = pl.col("mpid")
    return (mpid == word) | (mpid == word.upper()) | (pl.col("crd") == word)


def venue_is_named(word: str) -> pl.Expr:
    """A part of a venue's name, in capitals or not."""
    return _holds("venue_name", word)


def issue_is_named(word: str) -> pl.Expr:
    """A part of an issue's name, in capitals or not."""
    return _holds("issue_name", word)


def _holds(column: str, word: str) -> pl.Expr:
    return pl.col(column).str.to_lowercase().str.contains(pl.lit(word).str.to_lowercase(), literal=True)


def listed(names: list[str]) -> str:
    """Names with commas; of many the first, and how many more there are."""
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (f" and {more:,} more" if more > 0 else "")
