"""The probe: whether a partition has moved at its source since it was captured, by three requests instead of fifty.

FINRA restates weeks that are years old (finra.md, "Revisions"), beyond any look-back. A probe asks how many rows were
updated after the newest lastUpdateDate held, how many on it, and how many rows there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipeline.finra.calendar import PartitionKey, market_today
from pipeline.finra.sources.base import Asking, Source, SourceError, Standing
from pipeline.models import Capture, Listing
from pipeline.resilience import connections


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a partition has moved at its source since it was captured, and by which sign."""

    moved: bool
    reason: str


def ask(held: Capture, key: PartitionKey, source: Source) -> Probe:
    """Ask whether a partition has moved.

    It has not when no row has a later lastUpdateDate than the newest that was read, as many rows as then have just that
    date, and there are as many rows in all. The second count finds a restatement that was undone with its dates, and a
    second one on the day of the reading. For a partition read from the API all its cuts are counted, since FINRA has
    restated a total alone; for one from files the rows by symbol and firm, since files have no others.

    SourceError for a source that cannot be asked, NotPublished where it has nothing any more, CannotBeAsked where only a
    download would tell.
    """
    if not isinstance(source, Asking):
        raise SourceError(f"the source {source.name!r} cannot be asked whether something moved: capture it instead")
    read = Listing.objects.filter(partition=held.partition_id).first()
    if read is None or read.update_date is None:
        return Probe(moved=True, reason="no row held has a lastUpdateDate: whether it moved since cannot be asked")
    if read.update_date > market_today():
        return Probe(
            moved=True, reason=f"a row held is dated {read.update_date}, a day to come: no later one will show"
        )
    connections.release()
    found = source.standing(key, read.update_date, totals_too=read.with_totals)
    dates_known = read.with_totals or not held.rows_rejected  # a rejected line of a file may have had the date, too
    listed = Standing(newer=0, same=read.updated if dates_known else found.same, rows=read.rows)
    if found != listed:
        return Probe(moved=True, reason=_moved(found, listed, read.update_date, held))
    sentence = f"unchanged: {found.rows:,} rows, the last update on {read.update_date} of {found.same:,}, as held"
    return Probe(moved=False, reason=sentence)


def _moved(found: Standing, listed: Standing, updated: date, held: Capture) -> str:
    return (
        f"moved since version {held.version}: {found.newer:,} rows were updated after {updated}, "
        f"{found.same:,} on it where {listed.same:,} are held, {found.rows:,} rows in all where {listed.rows:,} are"
    )
