"""Answers that are small: a frame in memory, in the order of its key, of which pages are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property, reduce
from typing import Any

import polars as pl

from pipeline.readers.fields import Dataset
from pipeline.readers.questions import invalid
from pipeline.readers.result import Page, Place

NOTHING_CAPTURED = "nothing of these weeks and tiers is captured"


@dataclass(frozen=True)
class Table:
    """Rows that `read` makes once, of a dataset. `descending` names the columns of the key that run the other way."""

    dataset: Dataset
    read: Callable[[], pl.DataFrame]
    empty: str = NOTHING_CAPTURED
    order: tuple[str, ...] = ()
    descending: tuple[str, ...] = ()
    of_ledger: bool = False

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All rows, in order."""
        found = self.read().select(self.dataset.names).cast(self.dataset.schema)
        return found.sort(self.key, descending=self._descends(), nulls_last=True)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns by which the rows are in order, no two of which have the same."""
        return tuple(dict.fromkeys((*self.order, *self.dataset.key)))

    def _descends(self) -> list[bool]:
        return [name in self.descending for name in self.key]

    def collect(self) -> pl.DataFrame:
        """All rows."""
        return self.frame

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows at once."""
        yield self.frame

    @property
    def knows_total(self) -> bool:
        """Whether no file is read for it: where the rows are from the ledger."""
        return self.of_ledger

    def total(self) -> int:
        """How many there are."""
        return self.frame.height

    def why_empty(self) -> str | None:
        """Why there are none."""
        return self.empty

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of the rows, behind a place."""
        left = self.frame if after is None else self.frame.filter(self._is_behind(after))
        found = left.head(limit)
        return Page(found, self._place(found) if left.height > limit else None)

    def _place(self, found: pl.DataFrame) -> Place:
        return tuple(map(_written, found.select(self.key).row(-1)))

    def _is_behind(self, after: Place) -> pl.Expr:
        if len(after) != len(self.key):
            raise invalid("cursor", f"{after!r} is no place in {self.dataset.name}")
        schema = self.dataset.schema
        places = [_read(value, schema[name]) for name, value in zip(self.key, after, strict=True)]
        return behind(self.key, places, self._descends())


def behind(columns: Sequence[str], places: Sequence[pl.Expr], descends: Sequence[bool]) -> pl.Expr:
    """Whether a row stands behind a place in an order by these columns; nulls stand last."""
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
    """A value of a place as the column has it. ReadersError for one that is none."""
    try:
        if isinstance(kind, pl.Datetime) and value is not None:
            return pl.lit(datetime.fromisoformat(str(value)), dtype=kind)
        if isinstance(kind, pl.Date) and value is not None:
            return pl.lit(date.fromisoformat(str(value)), dtype=kind)
        if isinstance(kind, pl.Decimal) and value is not None:
            return pl.lit(Decimal(str(value)), dtype=kind)
        pl.select(pl.lit(value).cast(kind))
        return pl.lit(value, dtype=kind)
    except (ValueError, ArithmeticError, pl.exceptions.PolarsError):
        raise invalid("cursor", f"{value!r} is no place in this answer") from None


def frame_of(dataset: Dataset, rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows, each with a value for each field of the dataset, as a frame."""
    return pl.DataFrame(list(rows), schema=dataset.schema, orient="row")


def ledger_table(dataset: Dataset, rows: Sequence[tuple[Any, ...]], empty: str = NOTHING_CAPTURED) -> Table:
    """Rows of the ledger, each with a value for each field of the dataset, as an answer."""
    return Table(dataset, lambda: frame_of(dataset, rows), empty, of_ledger=True)
