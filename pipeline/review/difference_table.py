"""The rows in which two vintages differ as a table: what became of each, its natural key, each figure before and after."""

from __future__ import annotations

import polars as pl

from pipeline.finra.rows import FIGURES, KEY

NAMES = {"last_update_date": "last_update"}
CHANGE = pl.col("kind").alias("change")
BEFORE_AND_AFTER = tuple(
    pl.col(f"{side}_{figure}").alias(f"{NAMES.get(figure, figure)}_{side}")
    for figure in FIGURES
    for side in ("before", "after")
)


def table_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that differ: `change`, the six columns of the key, then shares, trades, notional, last_update of both.

    `rows` are those of `compare.Changes`.
    """
    return rows.select(CHANGE, *KEY, *BEFORE_AND_AFTER)
