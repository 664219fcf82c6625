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
import io
from concurrent.futures import ThreadPoolExecutor
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
SLICE = 2**17  # rows whose canonical text is in memory at once: 10 MB
DE_MINIMIS = "De Minimis Firms"

IS_ATS = pl.col("venue_kind") == ATS
FIRM = pl.when(IS_ATS).then(pl.lit("")).otherwise(pl.col("venue_name")).alias("firm")
KEY = ("symbol", "issue_name", "mpid", "crd", "firm", "product_type")  # with FIRM in the place of the venue's name
FIGURES = ("shares", "trades", "notional", "last_update_date")
SECURITY, VENUE = "security", "venue"  # the halves of the natural key, which `with_keys` adds
OF_VENUE = (pl.col("mpid"), pl.col("crd"), FIRM, pl.col("product_type"))
PLACE = pl.col(SECURITY).to_physical().cast(pl.UInt64) * 2**32 + pl.col(VENUE).to_physical()  # in the keys' order


def canonical_text(frame: pl.DataFrame) -> memoryview:
    """The canonical texts of a frame of SCHEMA's columns, each with its newline, as UTF-8. A null is empty."""
    fields = with_keys(frame).select(
        SECURITY,
        VENUE,
        pl.col("shares").to_physical().cast(pl.Int64),
        pl.col("trades"),
        pl.col("notional").to_physical().cast(pl.String),  # the writer's own way with 128 bits is slower
        _iso("last_update_date", frame),
    )
    written = io.BytesIO()
    fields.write_csv(written, include_header=False, separator="|", quote_style="never")
    return written.getbuffer()


def _iso(column: str, frame: pl.DataFrame) -> pl.Expr:
    """A date as YYYY-MM-DD. Each of the few different ones is written once."""
    days = frame[column].unique()
    return pl.col(column).replace_strict(days, days.dt.to_string("%Y-%m-%d"), return_dtype=pl.String)


def in_order(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The rows in the order of their canonical texts, and their content hash. No two have the same natural key."""
    ordered = with_keys(frame).sort(PLACE)
    return ordered.select(SCHEMA.names()), hash_of(ordered)


def content_hash(frame: pl.DataFrame) -> str:
    """The content hash of a frame of rows, whatever their order: 64 hex digits."""
    return in_order(frame)[1]


def with_keys(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with both halves of their natural keys, as categories in the order of the texts; null where a field is.

    SECURITY is `symbol|issue name`, VENUE is `MPID|CRD number|firm|product type`: as the canonical text has them. Each half
    is written and sorted once for all rows that have it, and the rows by two numbers: four times as fast as by their texts.
    A frame may have VENUE already, as texts or categories in any order.
    """
    if SECURITY in frame.columns:
        return frame
    with ThreadPoolExecutor(1) as executor:
        securities = executor.submit(_securities, frame)
        venues = _in_order(frame[VENUE] if VENUE in frame.columns else _texts(frame, *OF_VENUE))
        return frame.with_columns(securities.result().alias(SECURITY), venues.alias(VENUE))


def _securities(frame: pl.DataFrame) -> pl.Series:
    runs, run = runs_of_securities(frame)
    return _in_order(_texts(runs, pl.col("symbol"), pl.col("issue_name"))).gather(run)


def runs_of_securities(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The security of each run of rows that have the same, and for each row the number of its run.

    Where a frame is in order, and in FINRA's files, a security's rows stand together: what is asked of each is asked once.
    """
    securities = frame.select("symbol", "issue_name")
    run = securities.to_struct().rle_id()
    return securities.filter(run != run.shift(fill_value=2**32 - 1)), run


def _texts(frame: pl.DataFrame, *columns: pl.Expr) -> pl.Series:
    """The fields of each row as the canonical text has them."""
    return frame.select(text=pl.concat_str(*columns, separator="|")).to_series()


def _in_order(texts: pl.Series) -> pl.Series:
    """Texts as categories in their order. There a half counts with the pipe behind it: none is how another begins."""
    different = texts.unique().drop_nulls().cast(pl.String).alias("text").to_frame()
    return texts.cast(pl.Enum(different.sort(pl.concat_str("text", pl.lit("|"))).to_series()))


def hash_of(ordered: pl.DataFrame) -> str:
    """The content hash of rows that are in their order."""
    digest = hashlib.sha256()
    for some in with_keys(ordered).iter_slices(SLICE):
        digest.update(canonical_text(some))
    return digest.hexdigest()


def shares_of(frame: pl.DataFrame) -> Decimal:
    """The exact sum of the shares."""
    return Decimal(frame["shares"].sum() or 0)


def without_zeros(value: Decimal) -> Decimal:
    """A frame's decimal as a person writes it: 1.500000 is 1.5, and 20.000000 is 20."""
    return Decimal(f"{value:f}".rstrip("0").rstrip(".")) if value.as_tuple().exponent else value


def empty() -> pl.DataFrame:
    """No rows."""
    return pl.DataFrame(schema=SCHEMA)
