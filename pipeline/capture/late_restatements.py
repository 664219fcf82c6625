"""Restatements that come long after publication: how late one came, and what it moved."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.conf import settings

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey, due_date, look_back
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Run, Severity, Stage
from pipeline.vintages.compare import Difference, RowChange, movers

MOVERS_TOLD = 5


@checkpoints("restatement.note")
def anomalies(difference: Difference, run: Run | None) -> list[Anomaly]:
    """Of a restatement found outside the look-back of the weekly run, an INFO that says what it moved, and how late.

    It is not saved yet.
    """
    before, after = difference.before, difference.after
    partition = after.partition
    if after.kind in (CaptureKind.REPARSED, CaptureKind.ANNULMENT) or not _is_late(partition.key, after.captured_on):
        return []
    published = due_date(partition.key.tier, partition.week_ending)
    when = _restated_on(before, after)
    how = f"restated on {when}" if when == after.last_update_date else "no row has a newer lastUpdateDate"
    message = (
        f"version {after.version}, captured on {after.captured_on}: {how}, {(when - published).days} days after "
        f"publication on {published}, outside the look-back of {settings.MARKETSPINE_LOOKBACK_WEEKS} weeks. "
        f"{_what_moved(difference)}"
    )
    late = Category.RESTATED_LATE
    return [Anomaly.of(late, Severity.INFO, message, partition=partition, stage=Stage.NORMALIZED, run=run)]


def _is_late(key: PartitionKey, day: date) -> bool:
    return key.week_ending not in look_back(settings.MARKETSPINE_LOOKBACK_WEEKS, day)


def _restated_on(before: Capture, after: Capture) -> date:
    """The day that FINRA gives; where it gives no newer one (it took a restatement back, say), the day it was seen."""
    said = after.last_update_date
    is_newer = said is not None and (before.last_update_date is None or said > before.last_update_date)
    return said if said is not None and is_newer else after.captured_on


def _what_moved(difference: Difference) -> str:
    before, after, changes = difference.before, difference.after, difference.changes
    moved = Decimal(after.shares or 0) - Decimal(before.shares or 0)
    biggest = "; ".join(map(mover, movers(difference, 0, MOVERS_TOLD)))
    return (
        f"+{changes.added:,} rows, {changes.changed:,} changed, {changes.removed:,} gone; {_signed(moved)} shares, "
        f"{after.trades - before.trades:+,} trades. Biggest movers: {biggest}"
    )


def mover(change: RowChange) -> str:
    """A row that moved, in words: which, from how many shares to how many; where these are the same, what else moved."""
    place = f"{change.key.symbol or '(no symbol)'} at {change.key.mpid or change.key.firm}"
    was, now = change.before, change.after
    if was and now and was.shares == now.shares:
        if was.trades != now.trades:
            return f"{place} {was.trades:,} -> {now.trades:,} trades"
        if was.notional != now.notional:
            return f"{place} {_dollars(was.notional)} -> {_dollars(now.notional)} US dollars"
        return f"{place} updated {was.last_update_date} -> {now.last_update_date}"
    shares = [_plain(side.shares if side else Decimal(0)) for side in (was, now)]
    return f"{place} {shares[0]} -> {shares[1]} shares"


def _dollars(notional: Decimal | None) -> str:
    return "none" if notional is None else _plain(notional)


def _signed(shares: Decimal) -> str:
    return f"{'-' if shares < 0 else '+'}{_plain(abs(shares))}"


def _plain(shares: Decimal) -> str:
    whole, _, fraction = f"{shares:,f}".partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
