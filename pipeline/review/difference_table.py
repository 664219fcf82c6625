"""The rows in which two vintages differ as a table: what became of each, its natural key, each figure before and after."""

from __future__ import annotations

import polars as pl

from pipeline.finra.rows import FIGURES, KEY
from pipeline.vintages.compare import Changes

NAMES = {"last_update_date": "last_update"}
CHANGE = pl.col("kind").alias("change")
BEFORE_AND_AFTER = tuple(
    pl.col(f"{side}_{figure}").alias(f"{NAMES.get(figure, figure)}_{side}")
    for figure in FIGURES
    for side in ("before", "after")
)
MOVED = (pl.col("shares_after").fill_null(0) - pl.col("shares_before").fill_null(0)).abs()


def table_of(changes: Changes) -> pl.DataFrame:
    """In the order of the key: `change`, the six columns of the key, then shares, trades, notional, last_update of both."""
    return changes.rows.select(CHANGE, *KEY, *BEFORE_AND_AFTER)


def biggest_movers_first(table: pl.DataFrame) -> pl.DataFrame:
    """The same rows by how many shares they moved, whichever way."""
    return table.sort(MOVED, *KEY, descending=[True, *(False for _ in KEY)])
