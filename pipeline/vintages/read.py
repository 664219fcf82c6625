"""Reading vintages: the ledger names the files, and their rows are one lazy frame. The folder is never searched.

A frame has the columns of `rows.SCHEMA`, the rows of each partition in canonical order. Nothing is read before it is
collected: do that within `naming_damage`, which names the capture of a lost file.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Any

import polars as pl
from django.db import transaction
from django.utils import timezone
from polars.exceptions import PanicException, PolarsError

from pipeline.finra import rows
from pipeline.finra.calendar import MARKET_ZONE, CalendarError, PartitionKey, parse_instant, read_day
from pipeline.models import Capture, FileCheck, FileState, Partition, PruneEntry
from pipeline.vintages import cache, files, hashes, store

LONGEST_STORE = timedelta(hours=1)  # storing 168,000 rows takes a second
INSTANT_BEFORE = timedelta(microseconds=1)
ROWS_BEFORE = "rows_before"
FACTS = {
    "week_ending": pl.Date,
    "tier": pl.String,
    "capture_id": pl.String,
    "version": pl.Int64,
    ROWS_BEFORE: pl.Int64,
}
READ_WHOLE = 40  # files of one question, 13 weeks of 3 tiers: half a millisecond each, once


class NoSuchVintage(Exception):
    """The vintage asked for does not exist (yet), or retention has removed its rows. Another is never given instead."""


class Pruned(NoSuchVintage):
    """Retention has removed the rows asked for. `since` is the partition's floor (`as_of_floor`)."""

    def __init__(self, message: str, capture: Capture, since: datetime) -> None:
        super().__init__(message)
        self.capture, self.since = capture, since


class _NotAsWritten(Exception):
    """A file is not what was written; `how` says in what way."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


def latest(keys: Iterable[PartitionKey]) -> pl.LazyFrame:
    """The rows of the newest normalized capture of each partition."""
    partitions = Partition.objects.for_keys(keys).filter(latest__isnull=False)
    return of_captures(list(Capture.objects.filter(pk__in=partitions.values("latest")).order_by("partition")))


def of_capture(capture: Capture) -> pl.LazyFrame:
    """The rows of one vintage. NoSuchVintage when they are not stored yet or not any more.

    VintageDamaged when its file is lost, StorageAway when the storage is not mounted.
    """
    return of_captures([capture])


def of_captures(captures: Collection[Capture], *, numbered: str | None = None) -> pl.LazyFrame:
    """The rows of some vintages, as one scan over their files; `numbered` from 0 in a column before them, if that is named.

    Errors as `of_capture`.

    Parquet has no checksum here: a file with a changed byte can be read, as other figures. Each is compared with its hash
    before, once in a process while it stays the same; of more than READ_WHOLE those that were found to be damaged.
    """
    for capture in captures:
        check_stored(capture)
    if not captures:
        none = rows.empty().lazy()
        return none.with_row_index(numbered) if numbered else none
    suspects = {capture.vintage_sha256 for capture in captures}
    if len(captures) > READ_WHOLE:
        suspects = set(FileCheck.objects.filter(state=FileState.DAMAGED).values_list("sha256", flat=True))
    return _scanned([_source(capture, whole=capture.vintage_sha256 in suspects) for capture in captures], numbered)


def with_vintages(rows: pl.LazyFrame, captures: Sequence[Capture], *, numbered: str | None = None) -> pl.LazyFrame:
    """Rows of these vintages in their order, with `capture_id` and `version` of each behind them.

    Numbers in a column `numbered`, which `of_captures` has counted through all files, become those within each.
    """
    of = {
        "week_ending": [capture.partition.week_ending for capture in captures],
        "tier": [capture.partition.tier for capture in captures],
        "capture_id": [capture.capture_id for capture in captures],
        "version": [capture.version for capture in captures],
        ROWS_BEFORE: list(accumulate((capture.rows_kept for capture in captures), initial=0))[: len(captures)],
    }
    joined = rows.join(pl.LazyFrame(of, FACTS), on=("week_ending", "tier"), how="left", maintain_order="left")
    if numbered:
        joined = joined.with_columns((pl.col(numbered) - pl.col(ROWS_BEFORE)).cast(pl.UInt32))
    return joined.drop(ROWS_BEFORE)


def frame_of(content: bytes) -> pl.DataFrame:
    """The rows of a downloaded Parquet file. PolarsError where it is none."""
    return pl.read_parquet(io.BytesIO(content))


def file_of(capture: Capture) -> bytes:
    """The vintage file of a capture, as it was written. NoSuchVintage, VintageDamaged, StorageAway."""
    check_stored(capture)
    content = store.content_of(capture)
    if hashlib.sha256(content).hexdigest() != capture.vintage_sha256:
        raise store.changed(capture, "is not what was written: its hash differs")
    return content


def check_size(capture: Capture) -> None:
    """The errors of `of_capture` for a file that is lost or has another size; its content is not read."""
    check_stored(capture)
    _source(capture)


def check_stored(capture: Capture) -> None:
    """NoSuchVintage when the rows of a capture are not stored yet, or not any more: Pruned where retention removed them."""
    if capture.pruned_at is not None:
        raise _pruned(capture) or NoSuchVintage(
            f"{capture}: its rows were given up at {capture.pruned_at:%Y-%m-%d}, by force: its payload was lost"
        )
    if capture.normalized_at is None:
        raise NoSuchVintage(f"{capture}: archived, and its rows are not stored yet; run with --only-stage normalize")


def _pruned(capture: Capture) -> Pruned | None:
    """The error for a capture whose rows retention removed; None for any other."""
    entry = PruneEntry.objects.of_pruned().filter(capture=capture).first()
    if entry is None:
        return None
    since = as_of_floor(capture.partition)
    return Pruned(
        f"{capture}: retention has removed its rows (plan {entry.plan_id}, {capture.pruned_at:%Y-%m-%d}). "
        f"As-of questions about {capture.partition} are all answered from {since:%Y-%m-%d %H:%M:%S} UTC on",
        capture,
        since,
    )


def as_of_floor(partition: Partition) -> datetime:
    """The instant from which on every as-of question about a partition is answered, despite retention.

    Before it, only those are answered whose vintage is kept. Without removals it is the beginning of time.
    """
    of_partition = Capture.objects.filter(partition=partition).normalized().order_by("version")
    last = of_partition.filter(pruned_at__isnull=False).last()
    after = of_partition.filter(version__gt=last.version).first() if last else None
    return after.normalized_at if after and after.normalized_at else datetime.min.replace(tzinfo=UTC)


def as_of(instant: datetime | date | str, keys: Collection[PartitionKey]) -> pl.LazyFrame:
    """The rows that were the newest at `instant`, of each partition that was captured by then.

    A day, or its text "2026-01-05", is that day's end in New York; a text with a time of day, "2026-01-05 14:30", is in UTC
    where it names no offset. NoSuchVintage for an instant to come, Pruned where retention has removed what was newest then;
    CalendarError for a text that is neither, and for a datetime without a time zone.
    """
    return of_captures(captures_as_of(instant, keys))


def captures_as_of(instant: datetime | date | str, keys: Collection[PartitionKey]) -> list[Capture]:
    """Each partition's newest normalized capture at `instant`, with the spellings and errors of `as_of`."""
    moment = instant_of(instant)
    now = timezone.now()
    if moment > now:
        raise NoSuchVintage(f"{moment.isoformat()} is in the future: ask for an instant that has passed")
    if moment > now - LONGEST_STORE:
        _wait_for_stores(keys)
    known = Capture.objects.filter(
        partition__in=Partition.objects.for_keys(keys), normalized_at__lte=moment
    ).select_related("partition")
    newest: dict[int, Capture] = {}
    for capture in known.order_by("version"):
        newest[capture.partition_id] = capture
    return sorted(newest.values(), key=lambda capture: capture.partition.key)


def instant_of(instant: datetime | date | str) -> datetime:
    """The instant that a person means: for a day its end in New York. CalendarError for a text that is no instant."""
    if isinstance(instant, str):
        day = read_day(instant.strip())
        return _end_of(day) if day else parse_instant(instant.strip())
    if not isinstance(instant, datetime):
        return _end_of(instant)
    if instant.utcoffset() is None:
        raise CalendarError("a datetime without a time zone is no instant")
    return instant


def _end_of(day: date) -> datetime:
    """The last instant of a day in New York."""
    try:
        return datetime.combine(day + timedelta(days=1), time(), MARKET_ZONE) - INSTANT_BEFORE
    except OverflowError:
        raise CalendarError(f"{day} has no end in the calendar") from None


def _wait_for_stores(keys: Iterable[PartitionKey]) -> None:
    """Wait until no capture of these partitions is being stored.

    Its rows may be known since before the instant asked for, but be committed after the answer: then the same question
    would get another answer later.
    """
    with transaction.atomic():
        list(Partition.objects.for_keys(keys).order_by("pk").select_for_update(of=("self",), no_key=True))


@contextmanager
def naming_damage(captures: Iterable[Capture]) -> Iterator[None]:
    """Collect frames over the files of `captures` within: an error of polars or of the system then says what it comes from.

    VintageDamaged when one of the files is lost or not what was written, NoSuchVintage when retention removed it meanwhile;
    StorageAway when the storage is not mounted.
    """
    try:
        yield
    except (PolarsError, PanicException, OSError):
        for capture in captures:
            _source(capture)
            store.verify(capture)
        raise


def scan(path: str, size: int, sha256: str) -> pl.LazyFrame:
    """A file that `store.write_parquet` wrote. VintageDamaged when it is lost or is not what was written, StorageAway."""
    try:
        return _scanned([_as_written(path, size, sha256, whole=True)])
    except FileNotFoundError:
        store.check_mounted()
        how = "is missing"
    except OSError as error:
        how = store.unreadable(error)
    except _NotAsWritten as changed:
        how = changed.how
    raise store.VintageDamaged(f"the file {path} {how}", path, how)


def _scanned(sources: Sequence[str | io.BytesIO], numbered: str | None = None) -> pl.LazyFrame:
    many: Any = sources  # paths and buffers may stand beside each other, which polars' types do not say
    return pl.scan_parquet(many, glob=False, hive_partitioning=False, row_index_name=numbered)


def _source(capture: Capture, *, whole: bool = False) -> str | io.BytesIO:
    """The input for polars: a capture's file, the copy of a bucket's file, or bytes where no copy can be kept."""
    try:
        return _as_written(capture.vintage_path, capture.vintage_bytes, capture.vintage_sha256, whole=whole)
    except FileNotFoundError:
        capture.refresh_from_db(fields=["pruned_at"])
        check_stored(capture)
        store.check_mounted()
        raise store.missing(capture) from None
    except OSError as error:
        raise store.changed(capture, store.unreadable(error)) from error
    except _NotAsWritten as changed:
        raise store.changed(capture, changed.how) from None


def _as_written(path: str, size: int | None, sha256: str, *, whole: bool) -> str | io.BytesIO:
    """FileNotFoundError when a file is not there, _NotAsWritten when it has another size or, with `whole`, another hash."""
    source = files.local_path(path)
    if source is None:
        copy = cache.copy_of(path, sha256)
        if copy is None:
            raise _NotAsWritten("is not what was written: its hash differs")
        return copy
    if size not in (None, os.stat(source).st_size):
        raise _NotAsWritten("is not what was written: its size differs")
    if whole and hashes.of_file(source) != sha256:
        raise _NotAsWritten("is not what was written: its hash differs")
    return source
