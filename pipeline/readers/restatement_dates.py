"""How FINRA's lastUpdateDate goes with its restatements: whether the rows that changed moved theirs, and how late they came.

A row that changed and kept its date was restated silently: the date alone does not tell what is new. A row that moved its
date and kept its figures was touched without a change. Removed rows have no date any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import polars as pl

from pipeline.finra.calendar import due_date
from pipeline.models import Capture
from pipeline.readers.datasets.restatements import RESTATEMENT_DATES
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.restatements import Restated, RestatedAsked, conditions, moved_rows, restated, said_of
from pipeline.readers.result import Result
from pipeline.readers.table import Table
from pipeline.vintages.compare import CHANGED_SILENTLY, SAME_DATE, SAME_FIGURES, ChangeKind

IS_CHANGE = pl.col("kind") == ChangeKind.CHANGED.value
COUNTS = {
    "rows_changed_and_moved": IS_CHANGE & ~SAME_FIGURES & ~SAME_DATE,
    "rows_changed_silently": CHANGED_SILENTLY,
    "rows_touched": IS_CHANGE & SAME_FIGURES,
    "rows_added": pl.col("kind") == ChangeKind.ADDED.value,
    "rows_removed": pl.col("kind") == ChangeKind.REMOVED.value,
}


@answering
def restatement_dates(**asked: Unpack[RestatedAsked]) -> Result:
    """How lastUpdateDate goes with FINRA's restatements of a period, by tier."""
    found, wanted = restated(asked), conditions(asked)
    meta = head(RESTATEMENT_DATES.name, None, [found.said(), said_of(asked)])
    table = Table(RESTATEMENT_DATES, lambda: _by_tier(found, wanted), "nothing was restated")
    return Result(RESTATEMENT_DATES, meta, found.caveats(), table)


def _by_tier(found: Restated, wanted: Sequence[pl.Expr]) -> pl.DataFrame:
    frames = [_with_due_date(*pair).filter(*wanted) for pair in found.pairs]
    if not frames:
        return RESTATEMENT_DATES.schema.to_frame()
    counts = [condition.sum().cast(pl.Int64).alias(name) for name, condition in COUNTS.items()]
    moved = pl.col("rows_changed_and_moved").cast(pl.Float64)
    silent = COUNTS["rows_changed_silently"].any() & ~COUNTS["rows_changed_and_moved"].any()
    of_each = pl.concat(frames).group_by("tier", "position").agg(silent.alias("silent"))
    silently = of_each.group_by("tier").agg(
        pl.len().cast(pl.Int64).alias("restatements"),
        pl.col("silent").sum().cast(pl.Int64).alias("silent_restatements"),
    )
    summed = pl.concat(frames).group_by("tier").agg(*counts, *_lateness())
    return summed.join(silently, on="tier").with_columns(
        _ratio(moved, moved + pl.col("rows_changed_silently")).alias("moved_given_changed"),
        _ratio(moved, moved + pl.col("rows_touched")).alias("changed_given_moved"),
    )


def _with_due_date(before: Capture, after: Capture) -> pl.DataFrame:
    """The rows in which two vintages differ, with the day on which they were due."""
    key = after.partition.key
    return moved_rows(before, after).with_columns(pl.lit(due_date(key.tier, key.week_ending)).alias("due_date"))


def _lateness() -> list[pl.Expr]:
    """Percentiles of how many days behind the due date the new dates lie, of the rows that have one."""
    days = (pl.col("after_last_update_date") - pl.col("due_date")).dt.total_days().cast(pl.Float64)
    has_new = pl.col("after_last_update_date").is_not_null() & ~SAME_DATE
    late = days.filter(has_new)
    at = [(50, "lateness_p50"), (90, "lateness_p90"), (100, "lateness_max")]
    return [late.quantile(percent / 100, "equiprobable").cast(pl.Int64).alias(name) for percent, name in at]


def _ratio(of: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(of / whole)
