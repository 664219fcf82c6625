"""Rows to the bytes of a reply, as many as fit: JSON, or CSV where the request does not accept JSON.

Numbers are written as they are, digit by digit: share quantities are decimal.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from io import StringIO

from tests.fake_finra.datasets import Dataset
from tests.fake_finra.options import Options
from tests.fake_finra.queries import Query
from tests.fake_finra.rows import Row, Value

BLANKS = frozenset({"issueSymbolIdentifier", "issueName"})


@dataclass(frozen=True, slots=True)
class Encoded:
    """A reply's body and how many rows of those given are in it."""

    body: bytes
    rows: int


def to_json(rows: Iterable[Row], query: Query, dataset: Dataset, options: Options) -> Encoded:
    """A compact JSON array of the first rows, at most `max_payload` bytes; one row at least."""
    columns = [(dataset.position[name], json.dumps(name), name in BLANKS) for name in query.fields]
    texts: list[str] = []
    size = 1
    for row in rows:
        text = _object(row, columns, options)
        size += len(text) + 1  # ASCII: one byte for each character
        if texts and size > options.max_payload:
            break
        texts.append(text)
    return Encoded(f"[{','.join(texts)}]".encode("ascii"), len(texts))


def to_csv(rows: Sequence[Row], query: Query, dataset: Dataset, options: Options) -> Encoded:
    """A header and the first rows, at most `max_payload` bytes; one row at least. Nulls are empty."""
    quoting = csv.QUOTE_ALL if query.quoted else csv.QUOTE_MINIMAL
    lines = [_line(query.fields, query.delimiter, csv.QUOTE_MINIMAL)]
    size = len(lines[0].encode())
    for row in rows:
        line = _line([_plain(row[dataset.position[name]]) for name in query.fields], query.delimiter, quoting)
        size += len(line.encode())
        if len(lines) > 1 and size > options.max_payload:
            break
        lines.append(line)
    return Encoded("".join(lines).encode(), len(lines) - 1)


def _object(row: Row, columns: list[tuple[int, str, bool]], options: Options) -> str:
    members = []
    for at, name, may_be_blank in columns:
        value = row[at]
        if value is None and options.null_is_absent and name == '"totalNotionalSum"':
            continue
        if value == "" and may_be_blank and options.blank_is_null:
            value = None
        members.append(f"{name}:{_number(value) if isinstance(value, int | Decimal) else _text(value)}")
    return f"{{{','.join(members)}}}"


def _number(value: int | Decimal) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@lru_cache(maxsize=50_000)
def _text(value: str | None) -> str:
    return json.dumps(value)


def _plain(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _number(value)


def _line(values: Sequence[str], delimiter: str, quoting: int) -> str:
    written = StringIO()
    csv.writer(written, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerow(values)  # type: ignore[arg-type]
    return written.getvalue()
