"""Restatements that come long after publication: asking cheaply whether a partition moved, and saying how late it did.

FINRA restates weeks that are years old (finra.md, "Revisions"), where no look-back sees them. It can be asked how many rows
were updated after the newest lastUpdateDate held, and how many rows there are: three requests in place of fifty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings

from pipeline import connections, differences
from pipeline.calendar import PartitionKey, due_date, look_back
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Listing, Run, Severity, Stage
from pipeline.row_versions import RowChange
from pipeline.sources.base import Asking, Source, SourceError, Standing

MOVERS_TOLD = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a partition has moved at its source since it was captured, and how that showed."""

    moved: bool
    reason: str


def probe(held: Capture, key: PartitionKey, source: Source) -> Probe:
    """Ask whether a partition has moved.

    It has not when no row has a later lastUpdateDate than the newest that was read, as many as then have just that, and
    there are as many rows. The second count is for a restatement that was undone, with its dates, and for a second one on
    the day of the reading. Of a partition that was read from the API all its cuts are counted, for FINRA has restated a
    total alone; of one from files the rows by symbol and firm, which are all that files have.

    SourceError for a source that cannot be asked, NotPublished where it has nothing any more, CannotBeAsked where only a
    download would tell.
    """
    if not isinstance(source, Asking):
        raise SourceError(f"the source {source.name!r} cannot be asked whether something moved: capture it instead")
    read = Listing.objects.filter(partition=held.partition_id).first()
    if read is None or read.update_date is None:
        return Probe(moved=True, reason="no row held has a lastUpdateDate: whether it moved since cannot be asked")
    connections.release()
    found = source.standing(key, read.update_date, totals_too=read.with_totals)
    dates_known = read.with_totals or not held.rows_rejected  # a rejected line of a file may have the date, too
    listed = Standing(newer=0, same=read.updated if dates_known else found.same, rows=read.rows)
    if found != listed:
        return Probe(moved=True, reason=_moved(found, listed, read.update_date, held))
    told = f"unchanged: {found.rows:,} rows, the last update on {read.update_date} of {found.same:,}, as held"
    return Probe(moved=False, reason=told)


def _moved(found: Standing, listed: Standing, updated: date, held: Capture) -> str:
    return (
        f"moved since version {held.version}: {found.newer:,} rows were updated after {updated}, "
        f"{found.same:,} on it where {listed.same:,} are held, {found.rows:,} rows in all where {listed.rows:,} are"
    )


def note_late(before: Capture, after: Capture, run: Run | None) -> None:
    """Of a restatement found outside the look-back of the weekly run: say what it moved, and how late, as an INFO anomaly.

    In the transaction that stores the vintage, so that neither is there without the other.
    """
    partition = after.partition
    is_restated = after.kind != CaptureKind.REPARSED and after.content_hash != before.content_hash
    if not is_restated or not _is_late(partition.key, after.captured_on):
        return
    published = due_date(partition.key.tier, partition.week_ending)
    when = _restated_on(before, after)
    how = f"restated on {when}" if when == after.last_update_date else "an earlier restatement was taken back"
    message = (
        f"version {after.version}, captured on {after.captured_on}: {how}, {(when - published).days} days after "
        f"publication on {published}, outside the look-back of {settings.MARKETSPINE_LOOKBACK_WEEKS} weeks. "
        f"{_what_moved(before, after)}"
    )
    Anomaly.objects.record(
        Category.RESTATED_LATE, Severity.INFO, message, partition=partition, stage=Stage.NORMALIZED, run=run
    )


def _is_late(key: PartitionKey, day: date) -> bool:
    return key.week_ending not in look_back(settings.MARKETSPINE_LOOKBACK_WEEKS, day)


def _restated_on(before: Capture, after: Capture) -> date:
    """The day that FINRA gives; where it gives no newer one, for it took a restatement back, the day it was seen."""
    said = after.last_update_date
    is_newer = said is not None and (before.last_update_date is None or said > before.last_update_date)
    return said if said is not None and is_newer else after.captured_on


def _what_moved(before: Capture, after: Capture) -> str:
    found = differences.compare(before, after)
    moved = Decimal(after.shares or 0) - Decimal(before.shares or 0)
    biggest = "; ".join(map(_told, differences.movers(found, 0, MOVERS_TOLD)))
    return (
        f"+{found.added:,} rows, {found.changed:,} changed, {found.removed:,} gone; {_signed(moved)} shares, "
        f"{after.trades - before.trades:+,} trades. Biggest movers: {biggest}"
    )


def _told(change: RowChange) -> str:
    was = change.before.shares if change.before else Decimal(0)
    now = change.after.shares if change.after else Decimal(0)
    key = change.key
    return f"{key.symbol or '(no symbol)'} at {key.mpid or key.firm} {_plain(was)} -> {_plain(now)} shares"


def _signed(shares: Decimal) -> str:
    return f"{'-' if shares < 0 else '+'}{_plain(abs(shares))}"


def _plain(shares: Decimal) -> str:
    whole, _, fraction = f"{shares:,f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
