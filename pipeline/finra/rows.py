"""The row of a partition: its columns and types, its natural key, its canonical text, and the hash over all of them.

The canonical text of a row is its ten fields, joined by pipes, which no field can hold:

    symbol|issue name|MPID|CRD number|firm|product type|shares|trades|notional|lastUpdateDate

The first six are the natural key. `firm` is the name of a non-ATS firm, and empty for an ATS, whose name varies between
FINRA's outputs and is no part of its content. Shares and notional are whole millionths, a notional that FINRA does not give
is empty, and the date is written YYYY-MM-DD. The content hash is SHA-256 over these texts in their order as UTF-8 bytes,
each with a newline at its end: it does not depend on the order or the formatting of a payload, nor on any library.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import polars as pl

SHARES = pl.Decimal(18, 6)
NOTIONAL = pl.Decimal(38, 6)
SCHEMA = pl.Schema(
    {
        "week_ending": pl.Date(),
        "tier": pl.String(),
        "venue_kind": pl.String(),
        "symbol": pl.String(),
        "issue_name": pl.String(),
        "mpid": pl.String(),
        "crd": pl.String(),
        "venue_name": pl.String(),
        "product_type": pl.String(),
        "shares": SHARES,
        "trades": pl.Int64(),
        "notional": NOTIONAL,
        "last_update_date": pl.Date(),
    }
)
ATS, NON_ATS = "ATS", "NON_ATS"
DE_MINIMIS = "De Minimis Firms"
CANONICAL = "canonical"

IS_ATS = pl.col("venue_kind") == ATS
FIRM = pl.when(IS_ATS).then(pl.lit("")).otherwise(pl.col("venue_name")).alias("firm")
KEY = ("symbol", "issue_name", "mpid", "crd", "firm", "product_type")  # with FIRM in the place of the venue's name
FIGURES = ("shares", "trades", "notional", "last_update_date")


def canonical_text() -> pl.Expr:
    """Each row's canonical text, from a frame of SCHEMA's columns."""
    return pl.concat_str(
        pl.col("symbol", "issue_name", "mpid", "crd"),
        FIRM,
        pl.col("product_type"),
        _millionths("shares"),
        pl.col("trades").cast(pl.String),
        _millionths("notional").fill_null(""),
        pl.col("last_update_date").dt.to_string("%Y-%m-%d"),
        separator="|",
    ).alias(CANONICAL)


def _millionths(column: str) -> pl.Expr:
    """A decimal of six places as the text of its whole millionths."""
    return pl.col(column).to_physical().cast(pl.String)


def in_order(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The rows in the order of their canonical texts, which is that of the natural key, and their content hash."""
    ordered = frame.with_columns(canonical_text()).sort(CANONICAL)
    return ordered.select(SCHEMA.names()), hash_of(ordered[CANONICAL])


def content_hash(frame: pl.DataFrame) -> str:
    """The content hash of a frame of rows, whatever their order: 64 hex digits."""
    return hash_of(frame.select(canonical_text()).to_series().sort())


def hash_of(canonical: pl.Series) -> str:
    """SHA-256 over canonical texts that are in their order."""
    digest = hashlib.sha256()
    digest.update("".join([line + "\n" for line in canonical.to_list()]).encode())
    return digest.hexdigest()


def shares_of(frame: pl.DataFrame) -> Decimal:
    """The exact sum of the shares."""
    return Decimal(frame["shares"].sum() or 0)


def empty() -> pl.DataFrame:
    """No rows."""
    return pl.DataFrame(schema=SCHEMA)
