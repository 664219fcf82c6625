"""Bulk loading: the same lines are the same rows on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from pipeline import bulk
from tests.engines import Ledger

COLUMNS = ("id", "micros", "updated", "code", "note")
LARGEST = 2**63 - 1


@pytest.fixture
def table(ledger: Ledger) -> Iterator[str]:
    """An empty table of the kinds of columns that are loaded in bulk."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE loaded (id integer PRIMARY KEY, micros bigint, updated date, code text, note varchar(40))"
        )
    yield "loaded"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE loaded")


def rows() -> list[tuple[Any, ...]]:
    """What the table holds; dates as text, as SQLite has them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, micros, updated, code, note FROM loaded ORDER BY id")
        return [tuple(str(v) if isinstance(v, date) else v for v in row) for row in cursor.fetchall()]


@pytest.mark.promise(12)
def test_numbers_dates_text_and_nulls_are_what_they_were(table: str) -> None:
    lines = [f"1\t{LARGEST}\t2025-12-15\tOTC\t", "2\t0\t\\N\t\\N\t\\N", "3\t-5\t2025-12-22\t007\t1e5"]
    assert bulk.load(table, COLUMNS, lines) == 3
    assert rows() == [
        (1, LARGEST, "2025-12-15", "OTC", ""),
        (2, 0, None, None, None),
        (3, -5, "2025-12-22", "007", "1e5"),
    ]


def test_numbers_are_stored_as_integers(table: str) -> None:
    """SQLite would keep text where a column had no affinity, and a float where an integer had none."""
    bulk.load(table, COLUMNS, [f"1\t{LARGEST}\t2025-12-15\tOTC\tx"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT SUM(micros - 1), MAX(id + 1) FROM loaded")
        assert cursor.fetchone() == (LARGEST - 1, 2)


def test_a_tail_completes_every_line_and_columns_may_stand_in_any_order(table: str) -> None:
    assert bulk.load(table, ("code", "id", "note", "micros"), ["A\t1", "B\t2"], tail="\tsame\t7") == 2
    assert rows() == [(1, 7, None, "A", "same"), (2, 7, None, "B", "same")]


@pytest.mark.parametrize(
    "number",
    [0, 1, bulk.ROWS_PER_INSERT, bulk.ROWS_PER_INSERT + 1, bulk.LINES_PER_WRITE, 2 * bulk.LINES_PER_WRITE + 1],
)
def test_every_line_is_loaded_once_however_many(table: str, number: int) -> None:
    lines = (f"{n}\t{n}\t2025-12-15\tc\tn" for n in range(number))
    assert bulk.load(table, COLUMNS, lines) == number
    assert [row[0] for row in rows()] == list(range(number))


def test_lines_are_made_while_they_are_sent(table: str) -> None:
    """Nothing is asked for ahead of what one write takes."""
    endless = (f"{n}\t{n}\t2025-12-15\tc\tn" for n in iter(int, None))
    assert bulk.load(table, COLUMNS, islice(endless, 1)) == 1
    assert next(endless).startswith("0\t")


@pytest.mark.promise(9)
def test_a_load_that_breaks_off_leaves_nothing_in_its_transaction(table: str) -> None:
    def lines() -> Iterator[str]:
        for n in range(5000):
            yield f"{n}\t1\t2025-12-15\tc\tn"
        raise RuntimeError("the rows ran out")

    with pytest.raises(RuntimeError, match="the rows ran out"), transaction.atomic():
        bulk.load(table, COLUMNS, lines())
    assert rows() == []
    assert bulk.load(table, COLUMNS, ["1\t1\t2025-12-15\tc\tn"]) == 1


@pytest.mark.parametrize("lines", [["1\t1\t2025-12-15\tc\tn"] * 2, ["1\t1\t2025-12-15\tc"]])
def test_a_key_twice_or_a_field_too_few_is_an_error_of_the_database(table: str, lines: list[str]) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        bulk.load(table, COLUMNS, lines)
    assert rows() == []
