"""What ends an open anomaly, and the command that does it."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pipeline.finra.sources import REGISTRY
from pipeline.models import Anomaly, Category, Severity, Stage
from pipeline.review.grid import BACKFILLED, Cell

# Another fetch proves them over, if the source is right by then.
FETCHED_AGAIN = (
    Category.LATE,
    Category.FETCH_FAILED,
    Category.UNREADABLE,
    Category.STALLED,
    Category.INTERNAL,
)


class Mend(StrEnum):
    """The ways in which an anomaly ends: a run that proves it over, or a person's resolution."""

    FETCH = "fetch"
    FORCE = "force"
    NORMALIZE = "normalize"
    CALC = "calc"
    RUN = "run"
    RESOLVE = "resolve"


OF_WEEKS = {Category.NOT_OFFERED: Mend.RUN, Category.CALC_FAILED: Mend.CALC}


def is_finding(anomaly: Anomaly, cell: Cell | None) -> bool:
    """Whether it needs a repair of its own: it stands against its week or cell, and no backfill of the cell ends it."""
    if cell is not None and is_backfilled(anomaly, cell) and cell.state in BACKFILLED:
        return False
    is_of_cell = cell is not None and cell.anomaly is not None and cell.anomaly.pk == anomaly.pk
    return is_of_cell or anomaly.severity in Severity.at_least(Severity.ERROR)


def is_backfilled(anomaly: Anomaly, cell: Cell) -> bool:
    """Whether fetching the partition again ends it."""
    if anomaly.category not in FETCHED_AGAIN or _is_by_hand(anomaly, cell):
        return False
    return anomaly.category == Category.UNREADABLE or anomaly.stage != Stage.NORMALIZED


def mend(anomaly: Anomaly, cell: Cell | None) -> Mend:
    """What ends it."""
    if cell is None:
        return OF_WEEKS.get(Category(anomaly.category), Mend.RESOLVE)
    if _is_by_hand(anomaly, cell):
        return Mend.RESOLVE
    if is_backfilled(anomaly, cell) or anomaly.category == Category.REFUSED:  # never by force: a person has to say so
        return Mend.FETCH
    if anomaly.category in FETCHED_AGAIN:
        return Mend.NORMALIZE
    return Mend.FORCE if anomaly.category == Category.ARCHIVE_DAMAGED else Mend.RESOLVE


def words(anomaly: Anomaly, cell: Cell | None, week: date) -> tuple[str, ...]:
    """The words of the command behind `manage.py`. The operator has to write its note or reason."""
    of_one = ("--weeks", week.isoformat(), *(("--tiers", cell.tier) if cell else ()))
    match mend(anomaly, cell):
        case Mend.FETCH:
            return ("backfill", *of_one)
        case Mend.FORCE:
            return ("backfill", *of_one, "--force", "--reason", "the archived payload cannot be read")
        case Mend.NORMALIZE:
            return ("run_weekly", *of_one, "--only-stage", "normalize")
        case Mend.CALC:
            return ("run_weekly", *of_one, "--only-stage", "calc")
        case Mend.RUN:
            return ("run_weekly",)
        case Mend.RESOLVE:
            return ("resolve_anomaly", str(anomaly.pk), "--note", "what you found and did")


def _is_by_hand(anomaly: Anomaly, cell: Cell) -> bool:
    """Whether it came from a file that somebody named, of a partition that is held or not due: no run fetches that."""
    named = anomaly.last_run.parameters.get("source") if anomaly.last_run else None
    of_a_file = named is not None and named not in REGISTRY
    return of_a_file and (cell.newest is not None or cell.due > anomaly.last_seen_at.date())
