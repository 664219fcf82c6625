"""Vintage files of real size for a ledger that is made by SQL: 264,000 rows a week in three tiers, 44 ATSs and 106 firms.

The first and the third vintage of a partition have the same rows and are one file on the disk under two names; the second
has other shares in every thousandth row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import groupby

import polars as pl
from django.core.files.storage import default_storage

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import ATS, NON_ATS, NOTIONAL, SCHEMA, SHARES, in_order
from pipeline.models import Capture
from pipeline.vintages import files
from pipeline.vintages.store import FOLDER, Label, write

VENUES, ATSS = 150, 44
SYMBOLS = {
    Tier.NMS_TIER_1: (1, 2_000),
    Tier.NMS_TIER_2: (2_001, 9_000),
    Tier.OTC: (11_001, 8_000),
}  # the first, how many
ROWS = {Tier.NMS_TIER_1: 60_000, Tier.NMS_TIER_2: 168_000, Tier.OTC: 36_000}
SPREAD = 7  # has no divisor with VENUES: the venues of a symbol are different ones
UPDATED = timedelta(days=40)
ONE_IN = 1000


def write_all() -> int:
    """Write a file for each capture of the ledger, and have it say which; how many rows there are in all of them."""
    files.save(
        f"{FOLDER}/made", b"for a benchmark"
    )  # an empty folder, where the ledger has captures, is taken for one not mounted
    captures = Capture.objects.select_related("partition").order_by("partition", "version")
    written = []
    for _, vintages in groupby(captures, key=lambda capture: capture.partition_id):
        written += _of_partition(list(vintages))
    Capture.objects.bulk_update(written, ["vintage_path", "vintage_bytes", "vintage_sha256"], batch_size=500)
    return sum(capture.rows_kept for capture in written)


def _of_partition(vintages: Iterable[Capture]) -> list[Capture]:
    first, second, third = vintages
    key = first.partition.key
    rows = rows_of(key)
    _write(first, key, rows)
    _write(second, key, rows.with_columns(_restated()))
    third.vintage_path = first.vintage_path.replace("/v0001-", "/v0003-")
    third.vintage_bytes, third.vintage_sha256 = first.vintage_bytes, first.vintage_sha256
    os.link(default_storage.path(first.vintage_path), default_storage.path(third.vintage_path))
    return [first, second, third]


def _write(capture: Capture, key: PartitionKey, rows: pl.DataFrame) -> None:
    label = Label(
        capture.capture_id, capture.version, capture.content_hash, capture.payload_sha256, capture.parser_version
    )
    file = write(key, rows, label)
    capture.vintage_path, capture.vintage_bytes, capture.vintage_sha256 = file.path, file.size, file.sha256


def rows_of(key: PartitionKey) -> pl.DataFrame:
    """The rows of a partition: as many venues for each symbol, shares and trades from the number of the row and the week."""
    first, symbols = SYMBOLS[key.tier]
    number = pl.int_range(ROWS[key.tier], eager=True).alias("number").to_frame().lazy()
    symbol, week = pl.col("number") % symbols, key.week_ending.toordinal()
    venue = (pl.col("number") // symbols * SPREAD + symbol) % VENUES
    shares = pl.col("number").hash(week) % 10_000_000
    found = number.with_columns(symbol=symbol + first, venue=venue, shares=shares).select(_columns(key))
    return in_order(found.collect())[0]


def _columns(key: PartitionKey) -> list[pl.Expr]:
    is_ats, venue = pl.col("venue") < ATSS, pl.col("venue").cast(pl.String)
    number = venue.str.zfill(3)
    columns = {
        "week_ending": pl.lit(key.week_ending),
        "tier": pl.lit(key.tier.value),
        "venue_kind": pl.when(is_ats).then(pl.lit(ATS)).otherwise(pl.lit(NON_ATS)),
        "symbol": pl.format("S{}", "symbol"),
        "issue_name": pl.format("Issuer {} Common Stock", "symbol"),
        "mpid": pl.when(is_ats).then("V" + number).otherwise(pl.lit("")),
        "crd": pl.lit(""),
        "venue_name": pl.when(is_ats).then("ATS " + number).otherwise("FIRM " + number + " LLC"),
        "product_type": pl.lit(""),
        "shares": pl.col("shares").cast(SHARES),
        "trades": (pl.col("shares") // 150 + 1).cast(pl.Int64),
        "notional": pl.lit(None, NOTIONAL),
        "last_update_date": pl.lit(_updated(key.week_ending)),
    }
    return [columns[name].alias(name) for name in SCHEMA.names()]


def _updated(week_ending: date) -> date:
    return week_ending + UPDATED


def _restated() -> pl.Expr:
    is_restated = pl.int_range(pl.len()) % ONE_IN == 0
    return pl.when(is_restated).then(pl.col("shares") + 1).otherwise(pl.col("shares")).cast(SHARES).alias("shares")
