"""Measures of the difference of two vintages of a partition, by kind of venue and over both: shares moved, venues, HHI.

Shares of venues are within their kind, as in `pipeline.weeks.concentration`; the De Minimis pool is no venue.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from pipeline.finra.rows import ATS, DE_MINIMIS, NON_ATS
from pipeline.models import Capture
from pipeline.vintages import read
from pipeline.vintages.compare import MOVED, ChangeKind, Changes, difference_of

ALL = "ALL"
KINDS = (ALL, ATS, NON_ATS)
TOP = 10
VENUE = ("mpid", "crd", "firm")
SUM = pl.Decimal(38, 6)


@dataclass(frozen=True, slots=True)
class Measure:
    """The move of the rows of a kind of venues between two vintages.

    `shares_moved` is the sum over rows of what each moved, either way. `largest_share_move` is that of a venue, 0-1, and
    `rank_changes` counts the venues among the ten largest before or after whose place is another; HHI leaves the pool out of
    the squares, and is None without volume. For both kinds together a venue's share is of both.
    """

    venue_kind: str
    shares_before: Decimal
    shares_after: Decimal
    shares_moved: Decimal
    rows_before: int
    rows_added: int
    rows_changed: int
    rows_removed: int
    venues_moved: int
    largest_share_move: float
    rank_changes: int
    hhi_before: float | None
    hhi_after: float | None

    @property
    def compares(self) -> bool:
        """Whether there is volume on both sides: without it no venue has a share, or a place, that could move."""
        return bool(self.shares_before and self.shares_after)

    @property
    def gross_change(self) -> float | None:
        """Shares that moved, as a part of those before; None without any."""
        return float(self.shares_moved) / float(self.shares_before) if self.shares_before else None

    @property
    def net_change(self) -> float | None:
        """By how much the sum grew, as a part of it; None without any."""
        return float(self.shares_after) / float(self.shares_before) - 1 if self.shares_before else None


def measures_of(before: Capture, after: Capture) -> dict[str, Measure]:
    """The measures of two vintages of a partition, by kind. Errors as `read.of_capture`."""
    with read.naming_damage([before, after]):
        was, now = read.of_capture(before).collect(), read.of_capture(after).collect()
    return measured(was, difference_of(was, now))


def measured(before: pl.DataFrame, changes: Changes) -> dict[str, Measure]:
    """The measures of changes to the rows before, by kind."""
    venues = _venues(before, changes.rows)
    return {kind: _measure(kind, before, changes.rows, venues) for kind in KINDS}


def _venues(before: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """The volume of each venue before and after, and whether it moved."""
    firm = pl.when(pl.col("venue_kind") == ATS).then(pl.lit("")).otherwise("venue_name").alias("firm")
    held = (
        before.with_columns(firm).group_by("venue_kind", *VENUE).agg(pl.col("shares").cast(SUM).sum().alias("before"))
    )
    grown = pl.col("after_shares").cast(SUM).fill_null(0).sum() - pl.col("before_shares").cast(SUM).fill_null(0).sum()
    moved = changes.group_by("venue_kind", *VENUE).agg(grown.cast(SUM).alias("grown"))
    joined = held.join(moved, on=["venue_kind", *VENUE], how="full", coalesce=True)
    return joined.with_columns(pl.col("before").fill_null(0), pl.col("grown").fill_null(0)).with_columns(
        (pl.col("before") + pl.col("grown")).cast(SUM).alias("after"), (pl.col("firm") == DE_MINIMIS).alias("is_pool")
    )


def _of_kind(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame if kind == ALL else frame.filter(pl.col("venue_kind") == kind)


def _measure(kind: str, before: pl.DataFrame, changes: pl.DataFrame, venues: pl.DataFrame) -> Measure:
    rows, changed, of_kind = (_of_kind(frame, kind) for frame in (before, changes, venues))
    counts = dict(changed.group_by("kind").len().iter_rows())
    shares = of_kind.with_columns(_share("before"), _share("after")).filter(~pl.col("is_pool"))
    return Measure(
        venue_kind=kind,
        shares_before=Decimal(of_kind["before"].sum() or 0),
        shares_after=Decimal(of_kind["after"].sum() or 0),
        shares_moved=Decimal(changed.select(MOVED.cast(SUM).sum()).item() or 0),
        rows_before=rows.height,
        rows_added=counts.get(ChangeKind.ADDED.value, 0),
        rows_changed=counts.get(ChangeKind.CHANGED.value, 0),
        rows_removed=counts.get(ChangeKind.REMOVED.value, 0),
        venues_moved=of_kind.filter(pl.col("grown") != 0).height,
        largest_share_move=shares.select((pl.col("share_after") - pl.col("share_before")).abs().max()).item() or 0.0,
        rank_changes=_rank_changes(shares),
        hhi_before=_hhi(shares, "before"),
        hhi_after=_hhi(shares, "after"),
    )


def _share(side: str) -> pl.Expr:
    """The part of each venue, the pool in the whole; null without volume."""
    total = pl.col(side).sum().cast(pl.Float64)
    return pl.when(total > 0).then(pl.col(side).cast(pl.Float64) / total).alias(f"share_{side}")


def _rank_changes(shares: pl.DataFrame) -> int:
    ranked = shares.with_columns(
        pl.col(side).rank("min", descending=True).alias(f"rank_{side}") for side in ("before", "after")
    )
    top = (pl.col("rank_before") <= TOP) | (pl.col("rank_after") <= TOP)
    return ranked.filter(top & (pl.col("rank_before") != pl.col("rank_after"))).height


def _hhi(shares: pl.DataFrame, side: str) -> float | None:
    """The sum of squares, in the venues' order: in another the last digit would be another."""
    found = shares.sort("venue_kind", *VENUE)[f"share_{side}"]
    return None if found.null_count() == found.len() else float((found * found).sum())
