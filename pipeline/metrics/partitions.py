"""Partitions and verdicts of the watched weeks: those of the dashboard's grid, by the same functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Max

from pipeline.finra.calendar import PartitionKey, Tier, due_date, fully_due_weeks, is_due, last_fridays, market_today
from pipeline.metrics.samples import Sample, instant, sample, start_of
from pipeline.models import Partition, Readiness, ReadinessState, RunPartition, Use
from pipeline.models.readiness import USABLE
from pipeline.review import dashboard
from pipeline.review.grid import Cell, CellState

UNJUDGED = "UNJUDGED"
STATES = (*ReadinessState.values, UNJUDGED)
COMING = 7  # weeks of which the first may be the next that is due
STAGES = (
    ("queue", "queued_at", "started_at"),
    ("fetch", "started_at", "fetched_at"),
    ("parse", "fetched_at", "parsed_at"),
    ("store", "parsed_at", "stored_at"),
)


def read(now: datetime) -> Iterator[Sample]:
    """Figures of the grid, of the newest weeks and of the calendar."""
    today = market_today(now)
    weeks = dashboard.weeks(today)
    yield from _cells([cell for week in weeks for cell, _ in week.cells], today)
    yield from _verdicts(weeks)
    yield from _newest(today)
    for tier in Tier:
        yield from instant("tier_next_due_timestamp_seconds", start_of(_next_due(tier, today)), tier=tier)
        yield from _stages(tier)


def _cells(cells: Collection[Cell], today: date) -> Iterator[Sample]:
    counts = Counter((cell.tier, cell.state) for cell in cells)
    for tier in Tier:
        for state in CellState:
            yield sample("partitions", counts[tier, state], tier=tier, state=state)
    for cell in cells:
        if is_due(PartitionKey(cell.week_ending, Tier(cell.tier)), today) and not _is_captured(cell):
            place = {"tier": cell.tier, "week_ending": cell.week_ending.isoformat()}
            yield from instant("partition_unsettled_due_timestamp_seconds", start_of(cell.due), **place)


def _is_captured(cell: Cell) -> bool:
    """Whether its rows are held. Anomalies and readiness tell the faults of captured ones."""
    return cell.newest is not None and cell.newest.normalized_at is not None


def _verdicts(weeks: Collection[dashboard.Week]) -> Iterator[Sample]:
    for use in Use.values:
        verdicts = [week.verdicts[use] for week in weeks]
        counts = Counter(verdict.state if verdict else UNJUDGED for verdict in verdicts)
        for state in STATES:
            yield sample("readiness_verdicts", counts[state], use=use, state=state)


def _newest(today: date) -> Iterator[Sample]:
    captured = Partition.objects.filter(latest__isnull=False).order_by()
    newest = dict(captured.values_list("tier").annotate(Max("week_ending")))
    for tier in Tier:
        yield from instant("newest_captured_week_timestamp_seconds", _friday(newest.get(tier)), tier=tier)
    usable = Readiness.objects.filter(state__in=USABLE).order_by()
    for use, week in usable.values_list("use").annotate(Max("week_ending")):
        yield from instant("newest_ready_week_timestamp_seconds", _friday(week), use=use)
    yield from instant("newest_due_week_timestamp_seconds", _friday(fully_due_weeks(1, today)[0]))
    decided = Readiness.objects.aggregate(newest=Max("decided_at"))["newest"]
    yield from instant("readiness_decided_timestamp_seconds", decided)


def _friday(week_ending: date | None) -> datetime | None:
    return datetime.combine(week_ending, time(), UTC) if week_ending else None


def _next_due(tier: Tier, today: date) -> date:
    """The first due date after today."""
    newest = last_fridays(1, today)[0]
    weeks = (newest + timedelta(weeks=n) for n in range(-COMING, 2))
    return min(due for week in weeks if (due := due_date(tier, week)) > today)


def _stages(tier: Tier) -> Iterator[Sample]:
    done = RunPartition.objects.filter(partition__tier=tier, stored_at__isnull=False)
    newest = done.order_by("-pk").first()
    for stage, begin, end in STAGES if newest else ():
        began, ended = getattr(newest, begin), getattr(newest, end)
        if began and ended:
            seconds = max(0.0, (ended - began).total_seconds())
            yield sample("partition_stage_seconds", seconds, tier=tier, stage=stage)
