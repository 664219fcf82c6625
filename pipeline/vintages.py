"""Storing and reading row versions: the only module with the merge.

A row is stored once, with the range of versions of its partition in which it held: `(first_version, last_version)`,
`last_version` null while current. Storing a vintage compares its rows with the current ones, closes those that are gone
or changed, and loads those that are new: a restatement of 3 of 168,000 rows writes 3 rows and closes 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from pipeline import bulk
from pipeline.calendar import PartitionKey
from pipeline.identities import security_ids, venue_ids
from pipeline.models import Capture, Partition, RowVersion
from pipeline.parsing import Parsed, Rows

TABLE = "pipeline_rowversion"
KEY = ("security_id", "venue_id", "product_type")
VALUES = ("last_update_date", "shares_micros", "trades", "notional_micros")


class NoSuchVintage(Exception):
    """The vintage asked for does not exist (yet), or retention has removed its rows: never answered by another one."""


class CorruptVintage(Exception):
    """The rows held are not what the ledger says: the store stops before it makes that worse."""


@dataclass(frozen=True, slots=True)
class ResolvedRows:
    """Rows ready to be stored: with the ids of their securities and venues, as text."""

    rows: Rows
    securities: dict[str, str]
    venues: dict[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    def lines(self) -> Iterator[str]:
        """Each row as a line of KEY and VALUES, made when it is asked for."""
        columns = (
            map(self.securities.__getitem__, self.rows.securities),
            map(self.venues.__getitem__, self.rows.venues),
            self.rows.product_types,
            self.rows.dates,
            self.rows.micros,
            self.rows.trades,
            (notional or bulk.NULL for notional in self.rows.notionals),
        )
        return map("\t".join, zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class Merged:
    """What storing a vintage did to the rows of its partition."""

    added: int
    changed: int
    removed: int
    unchanged: int


def resolve(parsed: Parsed, key: PartitionKey) -> ResolvedRows:
    """The rows of a payload with their ids. Outside the transaction that stores them."""
    rows = parsed.rows
    securities = security_ids(set(rows.securities))
    venues = venue_ids(set(rows.venues), parsed.venue_names, key.week_ending)
    return ResolvedRows(
        rows, {name: str(pk) for name, pk in securities.items()}, {name: str(pk) for name, pk in venues.items()}
    )


def store(partition: Partition, version: int, rows: ResolvedRows) -> Merged:
    """Make `rows` the rows of `version`, in the caller's transaction and under the partition's lock.

    CorruptVintage when a row to be closed is not there.
    """
    held = set(_current_lines(partition)) if version > 1 else set()
    if not held:
        return Merged(added=_load(partition, version, rows.lines()), changed=0, removed=0, unchanged=0)
    lines = list(rows.lines())
    fresh = [line for line in lines if line not in held]
    stale = held.difference(lines)
    _close(partition, version, stale)
    _load(partition, version, fresh)
    changed = len({_key_of(line) for line in stale} & {_key_of(line) for line in fresh})
    return Merged(
        added=len(fresh) - changed, changed=changed, removed=len(stale) - changed, unchanged=len(lines) - len(fresh)
    )


def _key_of(line: str) -> str:
    return "\t".join(line.split("\t", len(KEY))[: len(KEY)])


def _load(partition: Partition, version: int, lines: Iterable[str]) -> int:
    columns = (*KEY, *VALUES, "partition_id", "first_version")
    return bulk.load(TABLE, columns, lines, tail=f"\t{partition.pk}\t{version}")


def _current_lines(partition: Partition) -> list[str]:
    """The current rows of a partition, as the lines that they were stored from."""
    fields = [f"CAST({column} AS text)" for column in (*KEY, *VALUES[:-1])]
    text = " || '\t' || ".join([*fields, f"coalesce(CAST({VALUES[-1]} AS text), '{bulk.NULL}')"])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {text} FROM {TABLE} WHERE partition_id = %s AND last_version IS NULL", [partition.pk])
        return [line for (line,) in cursor.fetchall()]


def _close(partition: Partition, version: int, stale: Collection[str]) -> None:
    """End the range of the rows in `stale` at the version before `version`: one UPDATE from a staging table."""
    if not stale:
        return
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE stale_row (security_id integer, venue_id integer, product_type text)")
        bulk.load("stale_row", KEY, [_key_of(line) for line in stale])
        same = " AND ".join(f"{TABLE}.{column} = stale_row.{column}" for column in KEY)
        cursor.execute(
            f"UPDATE {TABLE} SET last_version = %s FROM stale_row "
            f"WHERE {TABLE}.partition_id = %s AND {TABLE}.last_version IS NULL AND {same}",
            [version - 1, partition.pk],
        )
        closed = cursor.rowcount
        cursor.execute("DROP TABLE stale_row")
    if closed != len(stale):
        raise CorruptVintage(
            f"{partition}: {len(stale):,} rows were to be closed before version {version}, {closed:,} were"
        )


def latest(keys: Iterable[PartitionKey]) -> QuerySet[RowVersion]:
    """The rows of the newest normalized capture of each partition."""
    return _rows().filter(partition__in=Partition.objects.for_keys(keys), last_version__isnull=True)


def of_capture(capture: Capture) -> QuerySet[RowVersion]:
    """The rows of one vintage. NoSuchVintage when they are not stored yet or not any more."""
    if capture.normalized_at is None:
        raise NoSuchVintage(f"{capture}: archived, and its rows are not stored yet; run with --only-stage normalize")
    if capture.pruned_at is not None:
        raise NoSuchVintage(f"{capture}: retention removed its rows at {capture.pruned_at:%Y-%m-%d}")
    return _rows().filter(_holds_in(capture))


def as_of(instant: datetime, keys: Iterable[PartitionKey]) -> QuerySet[RowVersion]:
    """The rows that were the newest at `instant`, of each partition that was captured by then.

    NoSuchVintage for an instant to come, and where retention has removed what was newest then.
    """
    if instant > timezone.now():
        raise NoSuchVintage(f"{instant.isoformat()} is yet to come: what will be known then is not known")
    wanted = Q(pk__in=[])
    for capture in captures_as_of(instant, keys):
        of_capture(capture)
        wanted |= _holds_in(capture)
    return _rows().filter(wanted)


def captures_as_of(instant: datetime, keys: Iterable[PartitionKey]) -> list[Capture]:
    """The capture of each partition that was the newest normalized one at `instant`."""
    known = Capture.objects.filter(
        partition__in=Partition.objects.for_keys(keys), normalized_at__lte=instant
    ).select_related("partition")
    newest: dict[int, Capture] = {}
    for capture in known.order_by("version"):
        newest[capture.partition_id] = capture
    return sorted(newest.values(), key=lambda capture: capture.partition.key)


@dataclass(frozen=True, slots=True)
class RowKey:
    """A row's natural key within its partition."""

    symbol: str
    issue_name: str
    mpid: str
    crd: str
    firm: str
    product_type: str


@dataclass(frozen=True, slots=True)
class RowValues:
    """What a row says: shares (exact), trades, US dollars where given, and FINRA's lastUpdateDate."""

    shares: Decimal
    trades: int
    notional: Decimal | None
    last_update_date: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that two vintages differ in: `before` is None when it was added, `after` when it was removed."""

    key: RowKey
    before: RowValues | None
    after: RowValues | None

    @property
    def kind(self) -> str:
        """added, removed or changed."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def difference(before: Capture, after: Capture) -> list[RowChange]:
    """The rows in which two vintages of one partition differ, by natural key.

    Read from the version ranges: rows that held in both are not touched. ValueError for two partitions.
    """
    if before.partition_id != after.partition_id:
        raise ValueError(f"{before} and {after} are captures of two partitions")
    old = _values_by_key(of_capture(before).exclude(_holds_in(after)))
    new = _values_by_key(of_capture(after).exclude(_holds_in(before)))
    keys = sorted(old.keys() | new.keys(), key=lambda key: (key.symbol, key.issue_name, key.mpid, key.firm, key.crd))
    changes = (RowChange(key, old.get(key), new.get(key)) for key in keys)
    return [change for change in changes if change.before != change.after]


def _values_by_key(rows: QuerySet[RowVersion]) -> dict[RowKey, RowValues]:
    return {key_of(row): values_of(row) for row in rows}


def key_of(row: RowVersion) -> RowKey:
    """The natural key of a stored row."""
    security, venue = row.security, row.venue
    firm = "" if venue.mpid else venue.name
    return RowKey(security.symbol, security.issue_name, venue.mpid, venue.crd, firm, row.product_type)


def values_of(row: RowVersion) -> RowValues:
    """What a stored row says."""
    assert row.shares is not None
    return RowValues(Decimal(row.shares), row.trades, row.notional, row.last_update_date.isoformat())


def _rows() -> QuerySet[RowVersion]:
    return RowVersion.objects.select_related("security", "venue")


def _holds_in(capture: Capture) -> Q:
    """Whether a row version holds in a capture."""
    return Q(
        Q(last_version__isnull=True) | Q(last_version__gte=capture.version),
        partition=capture.partition_id,
        first_version__lte=capture.version,
    )
