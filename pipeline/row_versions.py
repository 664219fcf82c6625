"""Storing and reading row versions: the only module with the merge.

A row is stored once, with the range of versions of its partition in which it held: `(first_version, last_version)`,
`last_version` null while current. Storing a vintage compares its rows with the current ones, closes those that are gone
or changed, and loads those that are new: a restatement of 3 of 168,000 rows writes 3 rows and closes 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from pipeline import bulk
from pipeline.calendar import PartitionKey
from pipeline.identities import security_ids, venue_ids
from pipeline.models import Capture, Partition, RowVersion, VenueKind
from pipeline.models.fields import to_micros
from pipeline.parsed import Parsed, Rows

TABLE = "pipeline_rowversion"
KEY = ("security_id", "venue_id", "product_type")
VALUES = ("last_update_date", "shares_micros", "trades", "notional_micros")
LONGEST_STORE = timedelta(hours=1)  # storing 168,000 rows takes seconds


class NoSuchVintage(Exception):
    """The vintage asked for does not exist (yet), or retention has removed its rows: never answered by another one."""


class CorruptVintage(Exception):
    """The rows held are not what the ledger says: the store stops before it makes that worse."""


@dataclass(frozen=True, slots=True)
class ResolvedRows:
    """A payload's rows, with the ids of their securities and venues as text.

    `gone` is None when `rows` are all rows of the payload; otherwise `rows` are those that the vintage before has not, and
    `gone` those of it that the payload has not.
    """

    rows: Rows
    gone: Rows | None
    kept: int
    securities: dict[str, str]
    venues: dict[str, str]

    def lines(self, rows: Rows) -> Iterator[str]:
        """Each of `rows` as a line of KEY and VALUES, made when it is asked for."""
        columns = (
            map(self.securities.__getitem__, rows.securities),
            map(self.venues.__getitem__, rows.venues),
            rows.product_types,
            rows.dates,
            rows.micros,
            rows.trades,
            (notional or bulk.NULL for notional in rows.notionals),
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
    rows, gone = parsed.rows, parsed.gone or Rows()
    securities = security_ids({*rows.securities, *gone.securities})
    venues = venue_ids({*rows.venues, *gone.venues}, parsed.venue_names, key.week_ending)
    return ResolvedRows(
        rows=rows,
        gone=parsed.gone,
        kept=parsed.rows_kept,
        securities={name: str(pk) for name, pk in securities.items()},
        venues={name: str(pk) for name, pk in venues.items()},
    )


def store(partition: Partition, version: int, resolved: ResolvedRows) -> Merged:
    """Make the resolved rows those of `version`, in the caller's transaction and under the partition's lock.

    CorruptVintage when a row to be closed is not there.
    """
    fresh, stale = _difference(partition, version, resolved)
    if not stale:
        added = _load(partition, version, fresh)
        return Merged(added=added, changed=0, removed=0, unchanged=resolved.kept - added)
    lines = list(fresh)
    _close(partition, version, stale)
    _load(partition, version, lines)
    changed = len({_key_of(line) for line in stale} & {_key_of(line) for line in lines})
    return Merged(
        added=len(lines) - changed,
        changed=changed,
        removed=len(stale) - changed,
        unchanged=resolved.kept - len(lines),
    )


def _difference(partition: Partition, version: int, resolved: ResolvedRows) -> tuple[Iterable[str], Collection[str]]:
    """The lines to load, and the lines to close: as the payload was read, or by comparing with the rows held."""
    lines = resolved.lines(resolved.rows)
    if resolved.gone is not None:
        return lines, list(resolved.lines(resolved.gone))
    held = set(_current_lines(partition)) if version > 1 else set()
    if not held:
        return lines, ()
    all_lines = list(lines)
    return [line for line in all_lines if line not in held], held.difference(all_lines)


def _key_of(line: str) -> str:
    return "\t".join(line.split("\t", len(KEY))[: len(KEY)])


def _load(partition: Partition, version: int, lines: Iterable[str]) -> int:
    columns = (*KEY, *VALUES, "partition_id", "first_version")
    return bulk.load(TABLE, columns, lines, tail=f"\t{partition.pk}\t{version}")


def _current_lines(partition: Partition) -> list[str]:
    """The current rows of a partition, as the lines that they were stored from: one text, which is split here."""
    fields = [f"CAST({column} AS text)" for column in (*KEY, *VALUES[:-1])]
    line = " || '\t' || ".join([*fields, f"coalesce(CAST({VALUES[-1]} AS text), '{bulk.NULL}')"])
    joined = "string_agg" if connection.vendor == "postgresql" else "group_concat"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {joined}({line}, '\n') FROM {TABLE} WHERE partition_id = %s AND last_version IS NULL",
            [partition.pk],
        )
        (text,) = cursor.fetchone()
    return str(text).split("\n") if text else []


def _close(partition: Partition, version: int, stale: Collection[str]) -> None:
    """End the range of the rows in `stale` at the version before `version`: one UPDATE from a staging table."""
    if not stale:
        return
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE stale_row (security_id integer, venue_id integer, product_type text)")
        bulk.load("stale_row", KEY, map(_key_of, stale))
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE stale_row")  # few rows are found by the index, many by a scan
        cursor.execute(
            f"UPDATE {TABLE} SET last_version = %s WHERE partition_id = %s AND last_version IS NULL"
            f" AND ({', '.join(KEY)}) IN (SELECT {', '.join(KEY)} FROM stale_row)",
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
    if capture.pruned_at is not None:
        raise NoSuchVintage(
            f"{capture}: its rows were given up at {capture.pruned_at:%Y-%m-%d}, by retention or by force"
        )
    if capture.normalized_at is None:
        raise NoSuchVintage(f"{capture}: archived, and its rows are not stored yet; run with --only-stage normalize")
    return _rows().filter(_holds_in(capture))


def as_of(instant: datetime, keys: Collection[PartitionKey]) -> QuerySet[RowVersion]:
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


def captures_as_of(instant: datetime, keys: Collection[PartitionKey]) -> list[Capture]:
    """The capture of each partition that was the newest normalized one at `instant`."""
    if instant > timezone.now() - LONGEST_STORE:
        _wait_for_stores(keys)
    known = Capture.objects.filter(
        partition__in=Partition.objects.for_keys(keys), normalized_at__lte=instant
    ).select_related("partition")
    newest: dict[int, Capture] = {}
    for capture in known.order_by("version"):
        newest[capture.partition_id] = capture
    return sorted(newest.values(), key=lambda capture: capture.partition.key)


def _wait_for_stores(keys: Iterable[PartitionKey]) -> None:
    """Wait until no capture of these partitions is being stored.

    Its rows may be known since before the instant asked for, and be committed after the answer: which would then not be the
    same for ever.
    """
    with transaction.atomic():
        list(Partition.objects.for_keys(keys).order_by("pk").select_for_update(of=("self",), no_key=True))


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


def canonical_lines(capture: Capture) -> list[str]:
    """The rows of a capture as the canonical lines that they were read as, in no order; NoSuchVintage as `of_capture`."""
    columns = ("symbol", "issue_name"), ("mpid", "crd", "kind", "name")
    names = [f"{table}__{name}" for table, of_it in zip(("security", "venue"), columns, strict=True) for name in of_it]
    figures = ("product_type", "shares", "trades", "notional", "last_update_date")
    return [
        "|".join(
            (symbol, issue, mpid, crd, name if kind == VenueKind.NON_ATS else "", product_type, str(to_micros(shares)),
             str(trades), "" if notional is None else str(to_micros(notional)), str(updated))
        )
        for symbol, issue, mpid, crd, kind, name, product_type, shares, trades, notional, updated in (
            of_capture(capture).values_list(*names, *figures)
        )
    ]  # fmt: skip


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
