"""Restatements that come long after publication: asking cheaply whether a partition moved, and saying how late it did.

FINRA restates weeks that are years old (finra.md, "Revisions"), where no look-back sees them. It can be asked how many rows
were updated after the newest lastUpdateDate held, and how many rows there are: four requests in place of fifty.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.conf import settings

from pipeline import connections, differences, vintages
from pipeline.calendar import PartitionKey, due_date, look_back
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Run, Severity, Stage
from pipeline.sources.base import Asking, Source, SourceError
from pipeline.vintages import RowChange

MOVERS_TOLD = 5


def unmoved(held: Capture, key: PartitionKey, source: Source) -> str:
    """Why a partition need not be fetched; empty when it moved.

    It did not when no row has a later lastUpdateDate than the newest held, as many as held have just that, and there are
    as many rows. The second question is for a restatement that was undone, with its dates, and for what was restated again
    on the day of the capture. SourceError for a source that cannot be asked.
    """
    if not isinstance(source, Asking):
        raise SourceError(f"the source {source.name!r} cannot be asked whether something moved: capture it instead")
    if held.last_update_date is None:
        return ""
    connections.release()
    found = source.standing(key, held.last_update_date)
    known = found.same if held.rows_rejected else _last_updated(held)  # rejected rows may have the date, too
    if (found.newer, found.same, found.rows) != (0, known, held.rows_in):
        return ""
    return f"unchanged: {found.rows:,} rows, the last update on {held.last_update_date} of {found.same:,}, as held"


def _last_updated(held: Capture) -> int:
    """How many of the rows held have the newest lastUpdateDate; captures made before that was kept are counted."""
    if held.rows_last_updated is not None or held.last_update_date is None:
        return held.rows_last_updated or 0
    return vintages.of_capture(held).filter(last_update_date=held.last_update_date).count()


def note_late(before: Capture, after: Capture, run: Run | None) -> None:
    """Of a restatement found outside the look-back of the weekly run: say what it moved, and how late, as an INFO anomaly.

    In the transaction that stores the vintage, so that neither is there without the other.
    """
    partition = after.partition
    if after.kind != CaptureKind.RESTATEMENT or not _is_late(partition.key, after.captured_on):
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
