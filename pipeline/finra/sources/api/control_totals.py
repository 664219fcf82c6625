"""Whether firm rows add up to FINRA's own totals: a symbol's `*_SMBL_FIRM` rows to its `*_SMBL` row (finra.md, "Rows")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal

import polars as pl

from pipeline.finra.sources.api.fields import SummaryType
from pipeline.finra.sources.api.oddities import counted

SHOWN = 10
LEAST_DIFFERENCE = 1  # of shares: FINRA's totals are doubles, whose last places are not theirs (finra.md, "Rows")
MOST = 10**12  # shares, or trades: more than a week of all US stocks, and no sum over a payload overflows
# A figure beside the rows is kept as it is, and fails nothing: exact to more places than a double has, rounded beyond.
PLACES = 20
FIGURE = pl.Decimal(38, PLACES)
EXACTLY = Context(prec=38)
HAS_FIRMS = pl.col("has_firms")
BETWEEN = pl.col("shares") - pl.col("total_shares")
AGREES = (BETWEEN.abs() < LEAST_DIFFERENCE) & (pl.col("trades") == pl.col("total_trades"))
UNEQUAL = ("is_ats", "symbol", "shares", "trades", "total_shares", "total_trades")
CUTS = [cut.value for cut in SummaryType]


@dataclass(frozen=True, slots=True)
class Unequal:
    """A symbol whose firm rows do not add up to its total."""

    symbol: str
    is_ats: bool
    shares: Decimal
    trades: int
    total_shares: Decimal
    total_trades: int

    def __str__(self) -> str:
        family = "ATS" if self.is_ats else "non-ATS"
        return (
            f"{self.symbol or '(no symbol)'} {family}: firms {self.shares:,f} shares / {self.trades:,} trades, "
            f"total {self.total_shares:,f} / {self.total_trades:,}"
        )


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """FINRA's totals of a partition over all symbols, and where firm rows differ from them: the largest differences."""

    symbols: int
    shares: Decimal
    trades: int
    differing: int
    largest: tuple[Unequal, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """How a partition stood at FINRA when it was read: what it is held to when it is asked whether it moved.

    Over the cuts that are read (`SummaryType`), rejected rows included, as FINRA counts them. `updates` counts the
    lastUpdateDates, as text.
    """

    rows: int = 0
    updates: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Listing) -> Listing:
        return Listing(self.rows + other.rows, self.updates + other.updates)


def listing_of(rows: pl.DataFrame) -> Listing:
    """How many rows of a page are of the cuts that are read (columns as `decoding.Rows`), and with which dates."""
    listed = Listing()
    for cut, day, number in counted(rows, ("cut", "last_update_date")):
        if cut in CUTS:
            listed += Listing(number, Counter({day: number} if day else {}))
    return listed


def sums_of(rows: pl.DataFrame) -> pl.DataFrame:
    """For each symbol of a family the sums over firms, and FINRA's totals, of distinct rows (columns as `decoding.Rows`).

    Other cuts are the same volume again, and are passed over. Symbols are compared by their text alone: FINRA's totals may
    be less fine. A quantity that is none (null, text, negative, absurd) counts as 0, and shows as a difference.
    """
    figures = rows.filter(pl.col("cut").is_in(CUTS)).select("symbol", *_place(), *_figures())
    return figures.group_by("is_ats", "symbol").agg(*_sums(), (~HAS_FIRMS).sum().alias("totals"))


def control_totals(sums: Iterable[pl.DataFrame]) -> ControlTotals:
    """FINRA's totals, and the differences, of all rows, some of which have come to each of these sums."""
    symbols = pl.concat(sums).group_by("is_ats", "symbol").sum()
    unequal = symbols.filter(~AGREES)
    largest = unequal.sort(BETWEEN.abs(), "is_ats", "symbol", descending=[True, False, False]).head(SHOWN)
    return ControlTotals(
        symbols=int(symbols["totals"].sum()),
        shares=_shown(Decimal(symbols["total_shares"].sum())),
        trades=int(symbols["total_trades"].sum()),
        differing=unequal.height,
        largest=tuple(map(_unequal, largest.select(UNEQUAL).iter_rows())),
    )


def _place() -> tuple[pl.Expr, pl.Expr]:
    cut = pl.col("cut").str
    return cut.starts_with("ATS").alias("is_ats"), cut.ends_with("_FIRM").alias("has_firms")


def _figures() -> tuple[pl.Expr, pl.Expr]:
    return _figure("shares", FIGURE), _figure("trades", pl.Int64())


def _figure(column: str, kind: pl.DataType) -> pl.Expr:
    """A quantity as it adds up."""
    number = pl.col(column).cast(kind, strict=False)
    return pl.when(number.is_between(0, MOST, closed="left")).then(number).otherwise(0).cast(kind).alias(column)


def _sums() -> Iterator[pl.Expr]:
    """The sums of firms and FINRA's totals, for each symbol."""
    for column in ("shares", "trades"):
        yield pl.when(HAS_FIRMS).then(column).otherwise(0).sum().alias(column)
    for column in ("shares", "trades"):
        yield pl.when(HAS_FIRMS).then(0).otherwise(column).sum().alias(f"total_{column}")


def _unequal(sums: tuple[bool, str, Decimal, int, Decimal, int]) -> Unequal:
    is_ats, symbol, shares, trades, total_shares, total_trades = sums
    return Unequal(symbol, is_ats, _shown(shares), trades, _shown(total_shares), total_trades)


def _shown(shares: Decimal) -> Decimal:
    """Without the zeros at its end."""
    return shares.normalize(EXACTLY)
