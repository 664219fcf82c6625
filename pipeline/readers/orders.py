"""Orders of rows, and places in them: a walk over pages goes on behind a place, whatever rows come meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import polars as pl

from pipeline.readers.result import Place
from pipeline.readers.values import invalid


@dataclass(frozen=True, slots=True)
class Order:
    """A total order by columns; those in `descending` run the other way, and nulls are last."""

    schema: pl.Schema
    columns: tuple[str, ...]
    descending: tuple[str, ...] = ()

    @property
    def descends(self) -> list[bool]:
        """Whether each column is descending."""
        return [name in self.descending for name in self.columns]

    def sorted(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows, in this order."""
        return rows.sort(self.columns, descending=self.descends, nulls_last=True)

    def place(self, found: pl.DataFrame) -> Place:
        """The place of the last row."""
        return tuple(map(_written, found.select(self.columns).row(-1)))

    def is_behind(self, after: Place) -> pl.Expr:
        """Whether a row is behind a place. ReadersError for a place of another order."""
        if len(after) != len(self.columns):
            raise invalid("cursor", f"{after!r} is no place in this answer")
        places = [_read(value, self.schema[name]) for name, value in zip(self.columns, after, strict=True)]
        return _behind(self.columns, places, self.descends)


def _behind(columns: Sequence[str], places: Sequence[pl.Expr], descends: Sequence[bool]) -> pl.Expr:
    ordered = reversed(list(zip(columns, places, descends, strict=True)))

    def beyond(rest: pl.Expr, one: tuple[str, pl.Expr, bool]) -> pl.Expr:
        name, place, descending = one
        column = pl.col(name)
        is_more = (column < place) if descending else (column > place)
        is_more = is_more.fill_null(value=False) | (column.is_null() & place.is_not_null())
        return is_more | (column.eq_missing(place) & rest)

    return reduce(beyond, ordered, pl.lit(value=False))


def _written(value: Any) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def _read(value: str | float | bool | None, kind: pl.DataType) -> pl.Expr:
    """A value of a place in the column's type. ReadersError for a value that does not fit."""
    try:
        if isinstance(kind, pl.Datetime) and value is not None:
            return pl.lit(datetime.fromisoformat(str(value)), dtype=kind)
        if isinstance(kind, pl.Date) and value is not None:
            return pl.lit(date.fromisoformat(str(value)), dtype=kind)
        if isinstance(kind, pl.Decimal) and value is not None:
            return pl.lit(_decimal(f"{value}", kind), dtype=kind)
        pl.select(pl.lit(value).cast(kind))
        return pl.lit(value, dtype=kind)
    except (ValueError, ArithmeticError, pl.exceptions.PolarsError):
        raise invalid("cursor", f"{value!r} is no place in this answer") from None


def _decimal(text: str, kind: pl.Decimal) -> Decimal:
    """A number that fits the column. ArithmeticError or ValueError for another: polars would panic."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -kind.scale or number.adjusted() >= kind.precision - kind.scale:
        raise ValueError(f"{text} is no number of this column")
    return number
