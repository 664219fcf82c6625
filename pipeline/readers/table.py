"""Small answers: a frame in memory, in the order of its key, cut into pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from django.utils.functional import cached_property

from pipeline.readers.fields import Dataset
from pipeline.readers.orders import Order
from pipeline.readers.result import Page, Place

NOTHING_CAPTURED = "nothing of these weeks and tiers is captured"


@dataclass(frozen=True)
class Table:
    """Rows of a dataset that `read` makes once. `descending` names the columns of the key that run the other way."""

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
        return self.sorting.sorted(found.lazy()).collect()

    @property
    def sorting(self) -> Order:
        """The order: by `order`, then by the key of the dataset."""
        columns = tuple(dict.fromkeys((*self.order, *self.dataset.key)))
        return Order(self.dataset.schema, columns, self.descending)

    def collect(self) -> pl.DataFrame:
        """All rows."""
        return self.frame

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows at once."""
        yield self.frame

    @property
    def knows_total(self) -> bool:
        """Whether the rows are from the ledger, so that no file is read."""
        return self.of_ledger

    def total(self) -> int:
        """How many there are."""
        return self.frame.height

    def why_empty(self) -> str | None:
        """Why there are none."""
        return self.empty

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of the rows, behind a place."""
        left = self.frame if after is None else self.frame.filter(self.sorting.is_behind(after))
        found = left.head(limit)
        return Page(found, self.sorting.place(found) if left.height > limit else None)


def frame_of(dataset: Dataset, rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows, each with a value for each field of the dataset, as a frame."""
    return pl.DataFrame(list(rows), schema=dataset.schema, orient="row")


def ledger_table(dataset: Dataset, rows: Sequence[tuple[Any, ...]], empty: str = NOTHING_CAPTURED) -> Table:
    """Rows of the ledger, each with a value for each field of the dataset, as an answer."""
    return Table(dataset, lambda: frame_of(dataset, rows), empty, of_ledger=True)
