"""Rows of a frame into a table of the ledger, in one statement.

Django's way, an object for each row and a look at each value, takes 16 ms of the processor for the 338 venues of a week;
this takes 1 ms with PostgreSQL and 5 with SQLite.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from django.db import connection, models


def insert(model: type[models.Model], frame: pl.DataFrame) -> None:
    """Insert the rows of a frame, whose columns have the names of the table's. The caller has seen to their values."""
    name = connection.ops.quote_name
    table, columns = name(model._meta.db_table), ", ".join(map(name, frame.columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            rows = f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s)"
            cursor.execute(f"INSERT INTO {table} ({columns}) {rows}", [frame.write_json()])
        else:
            places = ", ".join(["%s"] * frame.width)
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", _stored(model, frame).rows())


def _stored(model: type[models.Model], frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with their decimals as the table's fields keep them."""
    decimals = [column for column in frame.iter_columns() if column.dtype.is_decimal()]
    return frame.with_columns(pl.Series(one.name, _prepared(model, one), pl.String) for one in decimals)


def _prepared(model: type[models.Model], column: pl.Series) -> list[str | None]:
    field: Any = model._meta.get_field(column.name)  # no relation: a column of decimals
    return [field.get_db_prep_value(value, connection) for value in column]
