"""A security by week with a column for each venue, as spreadsheets and charts want it: the same cells as `symbol_venues`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import polars as pl
from django.utils.functional import cached_property

from pipeline.readers.datasets.symbols import SYMBOL_VENUES_WIDE
from pipeline.readers.fields import SUM
from pipeline.readers.table import Table

MILLIONTH = Decimal("0.000001")
MOST = 20  # columns, unless more are asked for: a chart shows no more
OF_SECURITY = ("week_ending", "week_start", "tier", "symbol", "issue_name")
VENUE = ("venue_kind", "mpid", "crd", "venue")
OTHER, LABEL, TOTAL = "other", "label", "row_total"


class Shape(StrEnum):
    """A row for each venue, or a column."""

    LONG = "long"
    WIDE = "wide"


class Value(StrEnum):
    """The figure that stands in the columns."""

    SHARES = "shares"
    SHARE = "share"
    TRADES = "trades"
    AVERAGE_TRADE_SIZE = "average_trade_size"


def quotient(of: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """In double precision; null without a whole."""
    return pl.when(whole > 0).then(of.cast(pl.Float64) / whole.cast(pl.Float64))


VALUES = {
    Value.SHARES: pl.col("shares").cast(SUM),
    Value.SHARE: quotient(pl.col("shares"), pl.col(TOTAL)),
    Value.TRADES: pl.col("trades"),
    Value.AVERAGE_TRADE_SIZE: quotient(pl.col("shares"), pl.col("trades")),
}


@dataclass(frozen=True, slots=True)
class WideSummary:
    """The columns, the figure in them, and whether they add up, in shares over all rows.

    `unreconciled`: the volume of the security that neither the venues shown nor the others have.
    """

    columns: tuple[str, ...]
    value: str
    row_total: Decimal
    sum_of_venues: Decimal
    other: Decimal
    unreconciled: Decimal


@dataclass(frozen=True)
class Cells:
    """The volume of each venue, read once: OF_SECURITY, VENUE, venue_name, shares, trades, and `row_total` of the security.

    Columns are given to the `top` venues by volume over all rows; all others are one column.
    """

    read: Callable[[], pl.DataFrame]
    value: Value
    top: int

    @cached_property
    def labelled(self) -> pl.DataFrame:
        """With the column of each venue, which is `other` behind the top."""
        cells = self.read()
        volumes = cells.group_by(VENUE).agg(pl.col("venue_name").max(), pl.col("shares").sum())
        ranked = volumes.sort("shares", *VENUE, descending=[True] + [False] * len(VENUE))
        named = ranked.with_columns(pl.Series(LABEL, labels(ranked.rows(named=True)), dtype=pl.String))
        place = pl.int_range(pl.len())
        shown = named.with_columns(pl.when(place < self.top).then(LABEL).otherwise(pl.lit(OTHER)).alias(LABEL))
        return cells.join(shown.select(*VENUE, LABEL), on=VENUE, how="left", maintain_order="left")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The venues that have a column, the largest first."""
        shown = self.labelled.filter(pl.col(LABEL) != OTHER)
        sums = shown.group_by(LABEL).agg(pl.col("shares").sum())
        return tuple(sums.sort("shares", LABEL, descending=[True, False])[LABEL].to_list())

    def frame(self) -> pl.DataFrame:
        """A row for each week, tier and security. A venue without a row in it has null, and not zero."""
        by = [*OF_SECURITY, TOTAL]
        sums = self.labelled.group_by(*by, LABEL).agg(pl.col("shares", "trades").sum())
        figures = sums.with_columns(VALUES[self.value].alias("value"))
        names = [*self.columns, OTHER]
        wide = figures.pivot(LABEL, on_columns=names, index=by, values="value", aggregate_function="first")
        return wide.with_columns(pl.col(TOTAL).cast(SUM))

    def summary(self) -> WideSummary:
        """What the columns are, and whether they add up."""
        of_securities = self.labelled.unique(OF_SECURITY)
        total, other = _sum(of_securities[TOTAL]), _sum(self.labelled.filter(pl.col(LABEL) == OTHER)["shares"])
        shown = _sum(self.labelled["shares"]) - other
        return WideSummary(self.columns, self.value.value, total, shown, other, total - shown - other)


def _sum(column: pl.Series) -> Decimal:
    return Decimal(column.cast(SUM).sum() or 0).quantize(MILLIONTH)


def labels(venues: Sequence[dict[str, object]]) -> list[str]:
    """The names of columns: the MPID of an ATS, the name of a firm, with its CRD number where another has it."""
    taken = {*SYMBOL_VENUES_WIDE.names, OTHER}
    found = []
    for venue in venues:
        name = str(venue["mpid"] or venue["venue_name"])
        label = f"{name} ({venue['crd'] or venue['venue_kind']})" if name in taken else name
        taken.add(label)
        found.append(label)
    return found


class WideTable(Table):
    """Rows whose columns are known once they are read."""

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All rows, in order."""
        return self.read().sort(self.dataset.key)
