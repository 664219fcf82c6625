"""Bulk loading, the fastest way each engine has: COPY on PostgreSQL, many-row VALUES on SQLite.

A line is tab-separated text in PostgreSQL's COPY text format (`\\N` is null), because text is what a parser has and what
COPY wants; SQLite's column affinity makes integers of digits. Fields are ids, numbers, dates and code words: nothing in
them needs escaping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from django.db import connection

NULL = r"\N"
LINES_PER_WRITE = 2048
SQLITE_PARAMETERS = 30_000  # SQLITE_MAX_VARIABLE_NUMBER is 32,766


def load(table: str, columns: Sequence[str], lines: Iterable[str], tail: str = "") -> int:
    """Insert `lines`, each completed with `tail`, into `table`; fields in the order of `columns`. Returns how many.

    Lines may be made while they are sent: PostgreSQL works on what it has meanwhile.
    """
    batches = _batches(
        lines, LINES_PER_WRITE if connection.vendor == "postgresql" else SQLITE_PARAMETERS // len(columns)
    )
    if connection.vendor == "postgresql":
        return _copy(table, columns, batches, f"{tail}\n")
    return _insert(table, columns, batches, tail)


def _copy(table: str, columns: Sequence[str], batches: Iterator[list[str]], end: str) -> int:
    loaded = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for batch in batches:
            copy.write(end.join(batch) + end)
            loaded += len(batch)
    return loaded


def _insert(table: str, columns: Sequence[str], batches: Iterator[list[str]], tail: str) -> int:
    row = f"({', '.join(['%s'] * len(columns))})"
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
    loaded = 0
    with connection.cursor() as cursor:
        for batch in batches:
            values = list(chain.from_iterable(_fields(line + tail) for line in batch))
            cursor.execute(head + ", ".join([row] * len(batch)), values)
            loaded += len(batch)
    return loaded


def _fields(line: str) -> list[str | None]:
    return [None if field == NULL else field for field in line.split("\t")]


def _batches(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    source = iter(lines)
    while batch := list(islice(source, size)):
        yield batch
