"""The concentration of each symbol: one Parquet file of a snapshot, derived from its captures.

    analytics/{week_ending}/s{sequence:04}-{inputs_hash[:12]}.parquet

Sorted by scope, family and security, as vintage files are, with the week as a column, so that the files of several weeks
make one table.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from pipeline.models import AnalyticsSnapshot, Capture
from pipeline.vintages import read, store

FOLDER = "analytics"
COLUMNS = ("symbol", "issue_name", "shares", "trades", "venues", "hhi_low", "hhi_high")


@dataclass(frozen=True, slots=True)
class SymbolConcentration:
    """How concentrated the week's volume of a security was over venues; `hhi_low` and `hhi_high` as for a market."""

    symbol: str
    issue_name: str
    shares: Decimal
    trades: int
    venues: int
    hhi_low: float | None
    hhi_high: float | None


def write(snapshot: AnalyticsSnapshot, inputs: Collection[Capture], symbols: pl.DataFrame) -> None:
    """Write the file of a snapshot that is to be made, and note it in the snapshot: path, bytes, SHA-256.

    `symbols` has the columns of `concentration.SYMBOLS`. All of it is on the disk when this returns.
    """
    path = f"{FOLDER}/{snapshot.week_ending}/s{snapshot.sequence:04}-{snapshot.inputs_hash[:12]}.parquet"
    frame = symbols.select(pl.lit(snapshot.week_ending).alias("week_ending"), pl.all())
    written = store.write_parquet(path, frame, _label(snapshot, inputs))
    snapshot.symbols_path, snapshot.symbols_bytes, snapshot.symbols_sha256 = written.path, written.size, written.sha256


def _label(snapshot: AnalyticsSnapshot, inputs: Collection[Capture]) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "week_ending": snapshot.week_ending.isoformat(),
        "sequence": str(snapshot.sequence),
        "calculation_version": str(snapshot.calculation_version),
        "computed_from": "\n".join(sorted(capture.capture_id for capture in inputs)),
    }


def of_snapshot(snapshot: AnalyticsSnapshot) -> pl.LazyFrame:
    """A row per scope, family and security: the week, and the columns of `concentration.SYMBOLS`.

    VintageDamaged when the file is lost, StorageAway when the storage is not mounted.
    """
    return read.scan(snapshot.symbols_path)


def largest(snapshot: AnalyticsSnapshot, scope: str, family: str, begins: str = "") -> pl.DataFrame:
    """The symbols of a scope and family that begin with a text (case counts), by volume; columns: COLUMNS.

    Errors as `of_snapshot`.
    """
    fits = (pl.col("scope") == scope) & (pl.col("family") == family) & pl.col("symbol").str.starts_with(begins)
    frame = of_snapshot(snapshot).filter(fits).select(COLUMNS).collect()
    return frame.sort("shares", "symbol", "issue_name", descending=[True, False, False])


def listed(frame: pl.DataFrame) -> list[SymbolConcentration]:
    """The rows of a frame of COLUMNS."""
    return [SymbolConcentration(*row) for row in frame.iter_rows()]
