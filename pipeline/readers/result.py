"""The answer: its meta at once, its rows when they are asked for, whole, by the page, or in another library's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from django.utils.functional import cached_property

from pipeline.readers import formats
from pipeline.readers.errors import ErrorKind, Facts, ReadersError
from pipeline.readers.fields import Dataset
from pipeline.readers.meta import Caveat, Meta, digest_of
from pipeline.readers.wording import did_you_mean

if TYPE_CHECKING:
    import pandas
    import pyarrow

Place = tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the place of the last one, behind which the next page begins; None at the end."""

    frame: pl.DataFrame
    next: Place | None


class Rows(Protocol):
    """The origin of an answer's rows; each method may raise ReadersError."""

    def collect(self) -> pl.DataFrame:
        """All rows, in the order of the dataset's key."""

    def page(self, after: Place | None, limit: int) -> Page:
        """At most `limit` rows behind a place, in the same order."""

    @property
    def knows_total(self) -> bool:
        """Whether the total is known without opening a file."""

    def total(self) -> int:
        """How many there are."""

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in order, a few partitions at a time if they are many; without rows, one empty frame."""

    def why_empty(self) -> str | None:
        """Why there are none, although the question is about something known."""


@dataclass(frozen=True)
class Result:
    """An answer. `meta` and `warnings` are there before any row is read; `frame` reads when it is first asked for."""

    dataset: Dataset
    meta: Meta
    warnings: tuple[Caveat, ...]
    rows: Rows
    fields: tuple[str, ...] = ()
    summing: Callable[[], Any] | None = None

    def __repr__(self) -> str:
        """In a line: what it is, as of when, from how many captures, what is lacking. Nothing is read for it."""
        caveats = f", {len(self.warnings)} warning{'s' if len(self.warnings) > 1 else ''}" if self.warnings else ""
        return f"<Result {self.meta.sentence}{caveats}; .frame, .to_pandas(), .meta, .warnings>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the frame."""
        return self.fields or self.dataset.names

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row, and the order of the rows."""
        return self.dataset.key

    @property
    def pinned(self) -> bool:
        """Whether its rows are the same for ever; its warnings say what is known now."""
        return self.meta.pinned

    @cached_property
    def etag(self) -> str:
        """A hash of all inputs of the answer, whatever its form, computed from the ledger alone."""
        return digest_of((self.meta.digest, self.warnings, self.columns))

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows. ReadersError where they cannot be read."""
        return self._shown(self.rows.collect())

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows in batches, one at least. ReadersError."""
        yield from map(self._shown, self.rows.batches())

    @cached_property
    def summary(self) -> Any:
        """The dataset's own summary of the whole answer, a dataclass; None where it has none. It may read files."""
        return self.summing() if self.summing else None

    @property
    def has_cheap_total(self) -> bool:
        """Whether `total` reads no file."""
        return self.rows.knows_total

    @cached_property
    def total(self) -> int:
        """How many rows there are."""
        return self.rows.total()

    @cached_property
    def empty_because(self) -> str | None:
        """Why there is no row, although the question is about something known; None where there are rows."""
        return self.rows.why_empty() if self.total == 0 else None

    def page(self, after: Place | None, limit: int) -> Page:
        """Some of the rows, behind the place of the page before."""
        if limit < 1:
            raise ReadersError(ErrorKind.INVALID_PARAMETER, f"a page has at least one row, not {limit}", "limit")
        page = self.rows.page(after, limit)
        return Page(self._shown(page.frame), page.next)

    def narrowed(self, fields: Sequence[str]) -> Result:
        """The answer with some columns, in the dataset's order. ReadersError for an unknown column."""
        for name in fields:
            if name not in self.columns:
                raise ReadersError(
                    ErrorKind.UNKNOWN_FIELD,
                    f"{name!r} is not a field of {self.dataset.name}",
                    "fields",
                    Facts(did_you_mean=did_you_mean(name, self.columns), allowed=self.columns),
                )
        return replace(self, fields=tuple(name for name in self.columns if name in fields))

    def _shown(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(self.fields) if self.fields else frame

    def to_polars(self) -> pl.DataFrame:
        """The rows as a polars.DataFrame: decimals are exact."""
        return self.frame

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a pandas.DataFrame of Arrow types: decimals stay exact. ReadersError where pandas is not installed."""
        return formats.to_pandas(self.frame)

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a pyarrow.Table. ReadersError where pyarrow is not installed."""
        return formats.to_arrow(self.frame)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as JSON has them: decimals are text with six places."""
        return formats.documents(self.frame)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The rows as CSV; written to a file where a path is given."""
        return formats.written(formats.csv(self.frame), path)

    def to_ndjson(self, path: str | Path | None = None) -> str:
        """The rows as a JSON document a line, the last of which says how many there are."""
        return formats.written(formats.ndjson(self.frame), path)

    def to_parquet(self, path: str | Path | None = None) -> bytes:
        """The rows as a Parquet file that says what it is."""
        content = formats.parquet(self.frame, self.meta)
        if path is not None:
            Path(path).write_bytes(content)
        return content
