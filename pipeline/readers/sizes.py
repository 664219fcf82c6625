"""The estimated size of an answer in each form, before it is made.

If the ledger knows the number of rows, no file is opened: a row's size is estimated by its types. Otherwise all rows are
taken to be as large as the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipeline.readers import formats
from pipeline.readers.result import Result

SAMPLE = 2_000  # rows
# Letters of a value with the comma behind it, as FINRA's rows have them: an issue's name has 30, a symbol 4.
LETTERS: tuple[tuple[type[pl.DataType], int], ...] = (
    (pl.String, 18),
    (pl.Date, 11),
    (pl.Datetime, 28),
    (pl.Decimal, 14),
    (pl.Float64, 19),
    (pl.Int64, 5),
)
AROUND_A_NAME = len('"":"",')
PACKED = 7  # bytes of a row in Parquet: a vintage file of 168,000 rows has 0.9 MB


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bytes in each form, estimated; for an answer of up to SAMPLE rows they are counted."""

    json: int
    ndjson: int
    csv: int
    parquet: int


def sizes_of(result: Result) -> Sizes:
    """The size of an answer. ReadersError."""
    return _by_types(result) if result.has_cheap_total and result.meta.inputs else _by_the_first(result)


def _by_types(result: Result) -> Sizes:
    types = {field.name: field.type for field in result.dataset.fields if field.name in result.columns}
    line = sum(_letters(kind) for kind in types.values())
    document = line + sum(len(name) + AROUND_A_NAME for name in types)
    rows = result.total
    return Sizes(document * rows, document * rows, line * rows, PACKED * rows)


def _letters(kind: pl.DataType) -> int:
    return next((letters for one, letters in LETTERS if isinstance(kind, one)), 6)


def _by_the_first(result: Result) -> Sizes:
    frame = result.page(None, SAMPLE).frame
    lines = len(formats.ndjson(frame).encode())
    measured = lines, lines, len(formats.csv(frame).encode()), len(formats.parquet(frame, result.meta))
    times = result.total / frame.height if frame.height else 1
    return Sizes(*(round(size * times) for size in measured))
