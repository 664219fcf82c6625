"""The dashboard's contents for a Monday morning: the grid, its figures, and news.

Read from the ledger in a number of queries that does not grow with it. No other process is asked: it might not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back, market_today
from pipeline.integrity import losses
from pipeline.models import (
    Anomaly,
    Capture,
    CaptureKind,
    Outcome,
    Readiness,
    ReadinessState,
    Run,
    RunWeek,
    Severity,
    Use,
)
from pipeline.models.readiness import USABLE
from pipeline.review import grid
from pipeline.review import unfinished as unfinished_work
from pipeline.review.grid import Cell, CellState
from pipeline.vintages import holdings

LATELY = timedelta(days=7)


class CellLabel(StrEnum):
    """The label of a cell: its state, or the news about a good one."""

    READY = "READY"
    RESTATED = "RESTATED"
    FORCED = "FORCED"
    UNCHANGED = "UNCHANGED"
    NOT_OFFERED = "NOT_OFFERED"
    ARCHIVED = "ARCHIVED"
    NOT_YET_DUE = "NOT_YET_DUE"
    MISSING = "MISSING"
    LATE = "LATE"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    DAMAGED = "DAMAGED"
    BLOCKED = "BLOCKED"


LAST_TRIED = {Outcome.UNCHANGED.value: CellLabel.UNCHANGED, Outcome.NOT_OFFERED.value: CellLabel.NOT_OFFERED}


@dataclass(frozen=True, slots=True)
class Week:
    """A row of the grid: a cell with its label for each tier, and the verdict for each use (None where never judged)."""

    week_ending: date
    cells: list[tuple[Cell, CellLabel]]
    verdicts: dict[str, Readiness | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures over the weeks of the grid."""

    ready: int
    awaiting: int
    blocked: int
    missing: int
    due: int
    anomalies: dict[str, int]
    last_run: Run | None


def unfinished(rows: Iterable[Week], today: date | None = None) -> Iterator[tuple[Readiness, str]]:
    """Weeks blocked since work on them stopped halfway, but those in a run under way: a verdict of each, and why."""
    open_weeks = RunWeek.objects.filter(run__in=Run.objects.under_way(), closed_at__isnull=True)
    under_way = set(open_weeks.values_list("week_ending", flat=True))
    for row in rows:
        verdicts = {use: verdict for use, verdict in row.verdicts.items() if verdict is not None}
        blocked = next((one for one in verdicts.values() if one.state == ReadinessState.BLOCKED), None)
        if blocked is None or row.week_ending in under_way:
            continue
        stored = {use: verdict.state for use, verdict in verdicts.items()}
        if why := unfinished_work.why(row.week_ending, stored, today or market_today()):
            yield blocked, why


def weeks(today: date | None = None) -> list[Week]:
    """The grid of the watched weeks, newest first."""
    day = today or market_today()
    fridays = look_back(settings.MARKETSPINE_LOOKBACK_WEEKS, day)
    keys = [PartitionKey(week, tier) for week in fridays for tier in Tier]
    lost = losses.unaccepted(holdings.recorded())
    found = {(cell.week_ending, cell.tier): cell for cell in grid.cells(keys, day, lost)}
    verdicts = {(v.week_ending, v.use): v for v in Readiness.objects.filter(week_ending__in=fridays)}
    now = timezone.now()
    return [
        Week(
            week,
            [(cell, label_of(cell, now)) for tier in Tier if (cell := found[week, tier])],
            {use: verdicts.get((week, use)) for use in Use.values},
        )
        for week in fridays
    ]


def label_of(cell: Cell, now: datetime) -> CellLabel:
    """The label of a cell. That of a good one says whether its content is news."""
    if cell.state is not CellState.GOOD:
        return CellLabel(cell.state)
    if cell.newest and now - cell.newest.captured_at < LATELY and (news := _news(cell.newest)):
        return news
    return LAST_TRIED.get(cell.last_try.outcome, CellLabel.READY) if cell.last_try else CellLabel.READY


def _news(newest: Capture) -> CellLabel | None:
    """The news of a vintage: restated rows, or a forced capture of the same content; None without news."""
    if newest.rows_touched and newest.version > 1:
        return CellLabel.RESTATED
    return CellLabel.FORCED if newest.kind == CaptureKind.FORCED else None


def figures(rows: Iterable[Week], today: date | None = None) -> Figures:
    """The figures. A week counts as ready when it may be used for trading, as awaiting while FINRA publishes it."""
    day, listed = today or market_today(), list(rows)
    states = [verdict.state for row in listed if (verdict := row.verdicts[Use.TRADING])]
    due = [
        cell for row in listed for cell, _ in row.cells if is_due(PartitionKey(cell.week_ending, Tier(cell.tier)), day)
    ]
    open_ = dict(Anomaly.objects.open().values_list("severity").annotate(Count("pk")).order_by())
    return Figures(
        ready=sum(state in USABLE for state in states),
        awaiting=states.count(ReadinessState.AWAITING_PUBLICATION),
        blocked=states.count(ReadinessState.BLOCKED),
        missing=sum(cell.newest is None for cell in due),
        due=len(due),
        anomalies={severity: open_.get(severity, 0) for severity in reversed(Severity.values)},
        last_run=Run.objects.order_by("-pk").first(),
    )
