"""Feeds: entries of the ledger in the order of their positions, which a poller follows with one integer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import polars as pl
from django.db import models

from pipeline.models import Capture, ReadinessChange
from pipeline.readers.fields import Dataset
from pipeline.readers.result import Page, Place
from pipeline.readers.table import frame_of
from pipeline.readers.values import invalid

AT_ONCE = 1000
Entry = TypeVar("Entry", Capture, ReadinessChange)


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """How far the feed has come: what is behind `after` and not in the answer has a greater position than that."""

    high_water: int


@dataclass(frozen=True)
class Feed(Generic[Entry]):
    """Entries with a `position`, in its order. `rows` makes a row of the dataset of each: for the page alone."""

    dataset: Dataset
    entries: models.QuerySet[Entry]
    rows: Callable[[Sequence[Entry]], Iterator[tuple[Any, ...]]]
    empty: str

    @property
    def knows_total(self) -> bool:
        """The ledger does."""
        return True

    def total(self) -> int:
        """How many entries there are."""
        return self.entries.count()

    def why_empty(self) -> str | None:
        """Why there are none."""
        return self.empty

    def collect(self) -> pl.DataFrame:
        """All entries."""
        return pl.concat([self.dataset.schema.to_frame(), *self.batches()])

    def batches(self) -> Iterator[pl.DataFrame]:
        """Some entries at a time."""
        page = self.page(None, AT_ONCE)
        yield page.frame
        while page.next is not None:
            page = self.page(page.next, AT_ONCE)
            yield page.frame

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of the entries, behind a position."""
        left = self.entries
        if after is not None:
            if len(after) != 1 or not isinstance(after[0], int):
                raise invalid("cursor", f"{after!r} is no place in the feed")
            left = left.filter(position__gt=after[0])
        found = list(left.order_by("position")[: limit + 1])
        frame = frame_of(self.dataset, self.rows(found[:limit]))
        return Page(frame, (found[limit - 1].position,) if len(found) > limit else None)
