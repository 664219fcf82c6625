"""Bulk loading, the fastest way each engine has: COPY on PostgreSQL, many-row VALUES on SQLite.

A line is tab-separated text in PostgreSQL's COPY text format (`\\N` is null), because text is what a parser has and what
COPY wants; SQLite's column affinity makes integers of digits. Fields are ids, numbers, dates and code words: nothing in
them needs escaping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from django.db import connection

NULL = r"\N"
LINES_PER_WRITE = 2048
SQLITE_PARAMETERS = 30_000  # SQLITE_MAX_VARIABLE_NUMBER is 32,766


def load(table: str, columns: Sequence[str], lines: Sequence[str]) -> None:
    """Insert `lines` into `table`; fields in the order of `columns`."""
    if connection.vendor == "postgresql":
        _copy(table, columns, lines)
    else:
        _insert(table, columns, lines)


def _copy(table: str, columns: Sequence[str], lines: Sequence[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for batch in _batches(lines, LINES_PER_WRITE):
            copy.write("\n".join(batch) + "\n")


def _insert(table: str, columns: Sequence[str], lines: Sequence[str]) -> None:
    row = f"({', '.join(['%s'] * len(columns))})"
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
    with connection.cursor() as cursor:
        for batch in _batches(lines, SQLITE_PARAMETERS // len(columns)):
            values = list(chain.from_iterable(map(_fields, batch)))
            cursor.execute(head + ", ".join([row] * len(batch)), values)


def _fields(line: str) -> list[str | None]:
    return [None if field == NULL else field for field in line.split("\t")]


def _batches(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]
