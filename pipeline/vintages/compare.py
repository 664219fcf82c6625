"""The difference of two vintages of a partition: rows added, changed and removed, by natural key, before and after.

FINRA restates figures of rows more often than it adds and removes rows: where both vintages have the same keys, their rows
stand beside each other. Otherwise those that are the same in both are found by their 64-bit hashes, which is several times
as fast as a join over all of them; that no two different rows had the same hash is then checked row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import polars as pl

from pipeline.checkpoints import checkpoints
from pipeline.finra.rows import FIGURES, FIRM, KEY, without_zeros
from pipeline.models import Capture
from pipeline.vintages import read

COLUMNS = (*KEY, "venue_kind", *FIGURES)
COMPARED = [FIRM if column == "firm" else pl.col(column) for column in COLUMNS]
MOVED = (pl.col("after_shares").fill_null(0) - pl.col("before_shares").fill_null(0)).abs()
IS_ADDED, IS_REMOVED = pl.col("before_trades").is_null(), pl.col("after_trades").is_null()


class ChangeKind(StrEnum):
    """The kinds of changes of a row."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


# Of the rows of `Changes`: which kept their figures, which kept FINRA's date, and which changed while the date stayed.
SAME_FIGURES = pl.all_horizontal(
    pl.col(f"before_{name}").eq_missing(pl.col(f"after_{name}")) for name in ("shares", "trades", "notional")
)
SAME_DATE = pl.col("before_last_update_date").eq_missing(pl.col("after_last_update_date"))
CHANGED_SILENTLY = (pl.col("kind") == ChangeKind.CHANGED.value) & ~SAME_FIGURES & SAME_DATE


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of a vintage are new, changed, gone and the same, beside the vintage before it."""

    added: int
    changed: int
    removed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Changes(Counts):
    """The rows in which two vintages differ, in the order of their keys, and how many they are.

    `rows` has the columns of KEY (`firm` is empty for an ATS), `venue_kind`, `kind` (a value of ChangeKind), and each of
    FIGURES before and after (`before_shares`, `after_shares`, ...): null before a row was added and after it was removed.
    """

    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Difference:
    """Two vintages of one partition, and the rows in which they differ."""

    before: Capture
    after: Capture
    changes: Changes

    def count(self, kind: ChangeKind | None = None) -> int:
        """How many rows differ, or differ in this way."""
        changes = self.changes
        counts = {
            ChangeKind.ADDED: changes.added,
            ChangeKind.CHANGED: changes.changed,
            ChangeKind.REMOVED: changes.removed,
        }
        return counts[kind] if kind else sum(counts.values())


@dataclass(frozen=True, slots=True)
class RowKey:
    """A row's natural key within its partition."""

    symbol: str
    issue_name: str
    mpid: str
    crd: str
    firm: str
    product_type: str


@dataclass(frozen=True, slots=True)
class RowValues:
    """The figures of a row: shares (exact), trades, US dollars where given, and FINRA's lastUpdateDate."""

    shares: Decimal
    trades: int
    notional: Decimal | None
    last_update_date: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that two vintages differ in: `before` is None when it was added, `after` when it was removed."""

    key: RowKey
    before: RowValues | None
    after: RowValues | None

    @property
    def kind(self) -> ChangeKind:
        """The kind of the change."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED


@checkpoints("compare")
def difference_of(before: pl.DataFrame, after: pl.DataFrame) -> Changes:
    """How two frames of rows of one partition differ. Both have the columns of `rows.SCHEMA`, each key once, in order."""
    stale, fresh = _only_in_one(before.select(COMPARED), after.select(COMPARED))
    joined = _named(stale, "before").join(
        _named(fresh, "after"), on=[*KEY, "venue_kind"], how="full", coalesce=True, nulls_equal=True
    )
    changes = joined.select(*KEY, "venue_kind", _kind(), *_sides()).sort(KEY)
    changed = stale.height + fresh.height - changes.height
    return Changes(
        rows=changes,
        added=fresh.height - changed,
        changed=changed,
        removed=stale.height - changed,
        unchanged=after.height - fresh.height,
    )


def _kind() -> pl.Expr:
    added, removed, changed = (
        pl.lit(kind.value) for kind in (ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED)
    )
    return pl.when(IS_ADDED).then(added).when(IS_REMOVED).then(removed).otherwise(changed).alias("kind")


def _sides() -> list[str]:
    return [f"{side}_{figure}" for side in ("before", "after") for figure in FIGURES]


def _named(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    return frame.rename({figure: f"{side}_{figure}" for figure in FIGURES})


def _only_in_one(before: pl.DataFrame, after: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that only the first frame has, and those that only the second one has."""
    if before.select(*KEY, "venue_kind").equals(after.select(*KEY, "venue_kind")):
        differs = pl.any_horizontal(before[figure].ne_missing(after[figure]) for figure in FIGURES)
        return before.filter(differs), after.filter(differs)
    were, are = before.hash_rows(), after.hash_rows()
    stayed, held = were.is_in(are.implode()), are.is_in(were.implode())
    if before.filter(stayed).equals(after.filter(held)):
        return before.filter(~stayed), after.filter(~held)
    return (
        before.join(after, on=list(COLUMNS), how="anti", nulls_equal=True),
        after.join(before, on=list(COLUMNS), how="anti", nulls_equal=True),
    )


def compare(before: Capture, after: Capture) -> Difference:
    """The rows in which two captures differ. NoSuchVintage where rows are not stored; ValueError for two partitions."""
    if before.partition_id != after.partition_id:
        raise ValueError(f"{before} and {after} are captures of two partitions")
    with read.naming_damage([before, after]):
        was, now = read.of_capture(before).collect(), read.of_capture(after).collect()
    return Difference(before, after, difference_of(was, now))


def movers(difference: Difference, start: int, number: int, kind: ChangeKind | None = None) -> list[RowChange]:
    """Some of the rows that differ, by how many shares they moved."""
    found = difference.changes.rows
    if kind is not None:
        found = found.filter(pl.col("kind") == kind.value)
    return list(map(_change, biggest_first(found).slice(start, number).iter_rows(named=True)))


def biggest_first(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that differ (columns of `Changes.rows`) by how many shares they moved, whichever way."""
    return rows.sort(MOVED, *KEY, descending=[True, *[False] * len(KEY)])


def _change(row: dict[str, Any]) -> RowChange:
    key = RowKey(*(row[column] for column in KEY))
    return RowChange(key, _values(row, "before"), _values(row, "after"))


def _values(row: dict[str, Any], side: str) -> RowValues | None:
    shares, trades, notional, updated = (row[f"{side}_{figure}"] for figure in FIGURES)
    if trades is None:
        return None
    dollars = None if notional is None else without_zeros(notional)
    return RowValues(without_zeros(shares), trades, dollars, updated.isoformat())
