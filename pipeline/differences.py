"""The rows in which two vintages of a partition differ, the biggest movers first, some at a time.

`vintages.difference` gives all of them at once; here a page of them, or a stream. Both read the version ranges in one pass
over the partition's rows, in the order of their primary key: a key that differs has a row in one vintage or one in each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import connection

from pipeline import row_versions as vintages
from pipeline.models import Capture
from pipeline.models.fields import from_micros
from pipeline.row_versions import RowChange, RowKey, RowValues

FETCHED_AT_ONCE = 2000
HELD = "(first_version <= %s AND (last_version IS NULL OR last_version >= %s))"
FIGURES = ("shares_micros", "trades", "notional_micros", "last_update_date")
BEFORE_AND_AFTER = ", ".join(
    f"MAX({figure}) FILTER (WHERE {side}) AS {name}_{figure}"
    for name, side in (("before", "was"), ("after", "NOT was"))
    for figure in FIGURES
)
# A row that was changed and changed back has two versions that say the same: it does not differ.
DIFFERS = " OR ".join(
    ["COUNT(*) = 1", "COUNT(notional_micros) = 1", *(f"MIN({figure}) <> MAX({figure})" for figure in FIGURES)]
)
CHANGES = f"""
    SELECT security_id, venue_id, product_type, {BEFORE_AND_AFTER}
    FROM (SELECT *, {HELD} AS was FROM pipeline_rowversion WHERE partition_id = %s AND {HELD} <> {HELD}) AS version
    GROUP BY security_id, venue_id, product_type HAVING {DIFFERS}
"""
MOVED = "ABS(COALESCE(after_shares_micros, 0) - COALESCE(before_shares_micros, 0))"
BIGGEST_FIRST = f"{MOVED} DESC, security_id, venue_id, product_type"
MOVERS = f"""
    SELECT symbol, issue_name, mpid, crd, name, mover.*
    FROM (SELECT * FROM ({CHANGES}) AS change WHERE {{of_kind}} ORDER BY {BIGGEST_FIRST} LIMIT %s OFFSET %s) AS mover
    JOIN pipeline_security AS security ON security.id = security_id JOIN pipeline_venue AS venue ON venue.id = venue_id
    ORDER BY {BIGGEST_FIRST}
"""


class Kind(StrEnum):
    """What became of a row."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


OF_KIND = {
    Kind.ADDED: "before_trades IS NULL",
    Kind.CHANGED: "before_trades IS NOT NULL AND after_trades IS NOT NULL",
    Kind.REMOVED: "after_trades IS NULL",
}
COUNTS = f"SELECT {', '.join(f'COUNT(*) FILTER (WHERE {OF_KIND[kind]})' for kind in Kind)} FROM ({CHANGES}) AS change"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two vintages of one partition, and how many rows differ."""

    before: Capture
    after: Capture
    added: int
    changed: int
    removed: int

    def count(self, kind: Kind | None = None) -> int:
        """How many rows differ, or differ in this way."""
        counts = {Kind.ADDED: self.added, Kind.CHANGED: self.changed, Kind.REMOVED: self.removed}
        return counts[kind] if kind else sum(counts.values())


def compare(before: Capture, after: Capture) -> Difference:
    """Count the rows that differ. NoSuchVintage where rows are not stored; ValueError for two partitions."""
    if before.partition_id != after.partition_id:
        raise ValueError(f"{before} and {after} are captures of two partitions")
    vintages.of_capture(before), vintages.of_capture(after)
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, _versions(before, after))
        added, changed, removed = cursor.fetchone()
    return Difference(before, after, added, changed, removed)


def movers(difference: Difference, start: int, number: int, kind: Kind | None = None) -> list[RowChange]:
    """Some of the rows that differ, by how many shares they moved."""
    with connection.cursor() as cursor:
        cursor.execute(*_query(difference, start, number, kind))
        return [_change(row) for row in cursor.fetchall()]


def all_movers(difference: Difference) -> Iterator[RowChange]:
    """Every row that differs, the biggest movers first, fetched as they are asked for."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(*_query(difference, 0, difference.count(), None))
        while rows := cursor.fetchmany(FETCHED_AT_ONCE):
            yield from map(_change, rows)


def _query(difference: Difference, start: int, number: int, kind: Kind | None) -> tuple[str, list[int]]:
    of_kind = OF_KIND[kind] if kind else "TRUE"
    return MOVERS.format(of_kind=of_kind), [*_versions(difference.before, difference.after), number, start]


def _versions(before: Capture, after: Capture) -> list[int]:
    """The parameters of CHANGES."""
    was, now = [before.version] * 2, [after.version] * 2
    return [*was, before.partition_id, *was, *now]


def _change(row: tuple[Any, ...]) -> RowChange:
    symbol, issue_name, mpid, crd, name, _security, _venue, product_type, *figures = row
    key = RowKey(symbol, issue_name, mpid, crd, "" if mpid else name, product_type)
    return RowChange(key, _values(figures[: len(FIGURES)]), _values(figures[len(FIGURES) :]))


def _values(figures: list[Any]) -> RowValues | None:
    micros, trades, notional, updated = figures
    if micros is None:
        return None
    return RowValues(Decimal(from_micros(micros)), trades, _dollars(notional), str(updated))


def _dollars(micros: int | None) -> Decimal | None:
    return None if micros is None else from_micros(micros)
