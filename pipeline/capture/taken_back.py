"""Rows that an operator took back with their capture, and that a payload brings again, among others or alone."""

from __future__ import annotations

from contextlib import suppress

import polars as pl
from django.db.models import Exists, F, OuterRef

from pipeline.capture import current
from pipeline.capture.plausibility import Refusal
from pipeline.capture.vintage import Vintage, in_common
from pipeline.finra.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.models.capture import CaptureQuerySet
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.compare import Changes, difference_of

ROW = ("symbol", "issue_name", "mpid", "firm", "after_shares", "after_trades")


def brought_again(key: PartitionKey, offered: Vintage, limit: float) -> Refusal | None:
    """Why rows that were taken back are not captured again: all of a capture's, or as large a share as `limit` of what it
    changed, added and removed. None of others, and of those that were forced since.
    """
    for capture in _annulled(key):
        if capture.content_hash == offered.content.content_hash:
            return _refusal(capture, f"these are the rows of {capture}")
        with suppress(ArchiveDamaged):
            taken, again = _taken_back(capture, offered)
            if again and again >= limit * taken:
                return _refusal(capture, f"these are {again:,} of the {taken:,} rows in which {capture} differed")
    return None


def _annulled(key: PartitionKey) -> CaptureQuerySet:
    """The captures that were taken back, newest first.

    Less those whose rows were captured again since, by force, and those that gave way to one of the same rows.
    """
    of_partition = Capture.objects.of_partition(key)
    since = of_partition.standing().filter(content_hash=OuterRef("content_hash"), version__gt=OuterRef("version"))
    annulled = of_partition.filter(~Exists(since), annulled_by__isnull=False)
    annulled = annulled.exclude(annulled_by__content_hash=F("content_hash"))
    return annulled.select_related("partition", "annulled_by__partition").order_by("-version")


def _taken_back(capture: Capture, offered: Vintage) -> tuple[int, int]:
    """In how many rows a capture differed from the one that took it back, and in how many of them the payload does."""
    rows, changes = current.frame_of(capture), offered.comparable
    instead = current.frame_of(capture.annulled_by)
    taken = _texts(difference_of(in_common(instead), in_common(rows)))
    return len(taken), len(taken & _texts(changes)) if changes else 0


def _texts(changes: Changes) -> frozenset[str]:
    """Each row that differs as it is after the changes, in the columns that every source has; its key, where it went."""
    text = pl.concat_str(*(pl.col(name).cast(pl.String) for name in ROW), separator="|", ignore_nulls=True)
    return frozenset(changes.rows.select(text).to_series())


def _refusal(capture: Capture, what: str) -> Refusal:
    by = capture.annulled_by
    return Refusal(
        f'{what}, which {by.requested_by} annulled on {by.captured_on}: "{by.request_reason}". Force takes them'
    )
