"""A reply of FINRA as a page: what it must say, and what makes it none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from pipeline.finra.sources.api.all_rows import distinct
from pipeline.finra.sources.api.decoding import JsonRow, NotRows, Rows, column_of, decode, read_rows
from pipeline.finra.sources.api.pages import Page
from pipeline.finra.sources.api.queries import Query
from pipeline.finra.sources.api.transport import NO_CONTENT, Reply

MOST_DIGITS = 10
MOST_TOTAL = 505_000  # the last page begins at offset 500,000 at the latest


def check_place(rows: pl.DataFrame, expected: Mapping[str, str]) -> None:
    """NotRows where a row is of another week, tier or summary type than was asked for."""
    for name, value in expected.items():
        found = rows[column_of(name)]
        if not (found == value).all():
            others = sorted(set(found.unique()) - {value})
            raise NotRows(f"rows with {name} {', '.join(others[:3])} among those asked for with {value}")


def read_page(query: Query, offset: int, limit: int, reply: Reply) -> tuple[Page, Rows]:
    """A reply as a page, and its rows. NotRows where it is none, or does not say how many rows there are."""
    rows = read_rows(_json_of(reply))
    return _page_of(query, offset, limit, reply, len(rows), lambda: distinct(rows.frame).height), rows


def read_list(query: Query, offset: int, limit: int, reply: Reply) -> tuple[Page, list[JsonRow]]:
    """A reply of another dataset, or to a count, as a page, and its rows as they are. NotRows as `read_page`."""
    rows = decode(_json_of(reply))
    return _page_of(query, offset, limit, reply, len(rows), lambda: len(rows)), rows


def _json_of(reply: Reply) -> bytes:
    """The body of a reply of JSON; an empty list where there is nothing."""
    if reply.status == NO_CONTENT:
        return b"[]"
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotRows(f"it is {kind or 'of no type'}, and JSON was asked for; it begins {reply.body[:40]!r}")
    return reply.body


def _page_of(query: Query, offset: int, limit: int, reply: Reply, received: int, distinct: Callable[[], int]) -> Page:
    """The page of a reply with so many rows. One that comes twice within the reply may not be counted by FINRA."""
    if not received:
        return Page(query.name, offset, 0, 0, reply.request_id, b"")
    if reply.headers.get("record-offset", str(offset)) != str(offset):
        raise NotRows(f"it begins at row {reply.headers['record-offset']}")
    total, said = total_of(reply), reply.headers.get("record-limit", "")
    limit = min(limit, int(said)) if said.isascii() and said.isdecimal() and len(said) < MOST_DIGITS else limit
    rows = received if received <= min(limit, total - offset) else distinct()
    return Page(query.name, offset, rows, total, reply.request_id, reply.body)


def total_of(reply: Reply) -> int:
    """How many rows the query has, from `Record-Total`."""
    said = reply.headers.get("record-total", "")
    if not said.isdecimal():
        raise NotRows(f"its header Record-Total is {said!r}: without it the number of rows is unknown")
    if int(said) > MOST_TOTAL:
        raise NotRows(f"its header Record-Total is {said}, and FINRA gives no more than {MOST_TOTAL:,} rows of a query")
    return int(said)
