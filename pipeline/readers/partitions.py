"""Partitions, each with its captures and checks; and weeks, each with its partitions and verdicts. From the ledger alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Unpack

from django.conf import settings
from django.db.models import Count, Max, Min

from pipeline.finra.calendar import PartitionKey, Tier, due_date, is_due, look_back, trading_days, week_start_of
from pipeline.models import Capture, Partition, Readiness, Use
from pipeline.readers import looks
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.ledger import PARTITIONS, WEEKS
from pipeline.readers.keywords import FridaysAsked, WeeksAsked
from pipeline.readers.looks import Look
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, Weeks, question_of
from pipeline.readers.restated import restated_partitions
from pipeline.readers.result import Result
from pipeline.readers.table import ledger_table
from pipeline.readers.values import choices

LATE_AFTER = timedelta(days=3)  # a first capture later than that may have missed the first publication


class PartitionState(StrEnum):
    """The states of a partition."""

    CAPTURED = "CAPTURED"
    RESTATED = "RESTATED"
    ANNULLED = "ANNULLED"
    ARCHIVED = "ARCHIVED"
    LATE = "LATE"
    NOT_YET_DUE = "NOT_YET_DUE"


class PartitionsAsked(WeeksAsked, total=False):
    """Filters of partitions, and of their state."""

    state: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition: its newest capture with rows, the number of its captures and the time of the first, its looks."""

    key: PartitionKey
    state: PartitionState
    captures: int
    first_captured_at: datetime | None
    newest: Capture | None
    look: Look
    restated: bool


@answering
def partitions(**asked: Unpack[PartitionsAsked]) -> Result:
    """Each partition of the watched weeks, or of those asked for."""
    states = choices("state", asked.pop("state", None), PartitionState)
    found = [one for one in standings(watched(asked)) if not states or one.state in states]
    rows = [_partition_row(one) for one in found]
    return Result(PARTITIONS, head(PARTITIONS.name, None, rows), (), ledger_table(PARTITIONS, rows))


def watched(asked: FridaysAsked) -> Question:
    """The question; without weeks, it is of the look-back."""
    question = question_of(asked)
    if question.weeks != Weeks():
        return question
    fridays = look_back(settings.MARKETSPINE_LOOKBACK_WEEKS, question.on_day)
    return question_of({**asked, "week_ending": fridays})


def standings(question: Question) -> list[Standing]:
    """The standing of each partition of a question. Six queries, whatever the number of weeks."""
    keys = keys_of(question)
    found = {one.key: one for one in Partition.objects.for_keys(keys).select_related("latest")}
    ids = [one.pk for one in found.values()]
    counted = _counted(ids)
    seen, restated = looks.newest_looks(ids), restated_partitions(ids)
    return [
        _standing(key, found.get(key), counted, seen, restated, is_due(key, question.on_day)) for key in sorted(keys)
    ]


def _counted(ids: Iterable[int]) -> Mapping[int, tuple[int, datetime]]:
    """The number of captures of each partition, and the time of the first."""
    grouped = Capture.objects.filter(partition__in=ids).order_by().values_list("partition")
    return {pk: (number, first) for pk, number, first in grouped.annotate(Count("pk"), Min("captured_at"))}


def _standing(
    key: PartitionKey,
    partition: Partition | None,
    counted: Mapping[int, tuple[int, datetime]],
    seen: Mapping[int, Look],
    restated: set[int],
    due: bool,
) -> Standing:
    pk = partition.pk if partition else 0
    number, first = counted.get(pk, (0, None))
    newest = partition.latest if partition else None
    state = _state(number, newest, due=due, restated=pk in restated)
    return Standing(key, state, number, first, newest, seen.get(pk, looks.NEVER), pk in restated)


def _state(number: int, newest: Capture | None, *, due: bool, restated: bool) -> PartitionState:
    if newest is None:
        if number:
            return PartitionState.ARCHIVED
        return PartitionState.LATE if due else PartitionState.NOT_YET_DUE
    if newest.annuls_id is not None:
        return PartitionState.ANNULLED
    return PartitionState.RESTATED if restated else PartitionState.CAPTURED


def is_late_first(key: PartitionKey, first: datetime) -> bool:
    """Whether a first capture came so late that the first publication may have been missed."""
    return looks.age_of(key, first) > LATE_AFTER.days


def _partition_row(one: Standing) -> tuple[Any, ...]:
    key, newest, look = one.key, one.newest, one.look
    late = is_late_first(key, one.first_captured_at) if one.first_captured_at else None
    return (
        key.week_ending,
        week_start_of(key.week_ending),
        key.tier.value,
        due_date(key.tier, key.week_ending),
        one.state.value,
        one.captures,
        one.first_captured_at,
        late,
        *_figures(newest),
        look.checked_at,
        look.outcome,
        looks.verified_through(key, look),
        one.restated,
    )


def _figures(newest: Capture | None) -> tuple[Any, ...]:
    if newest is None:
        return (None,) * 9
    return (
        newest.capture_id,
        newest.version,
        newest.captured_at,
        newest.normalized_at,
        newest.rows_kept,
        newest.rows_rejected,
        newest.shares,
        newest.trades,
        newest.last_update_date,
    )


def newest_weeks() -> dict[Tier, date | None]:
    """The newest captured week of each tier; None where there is none."""
    captured = (
        Partition.objects.filter(latest__isnull=False).order_by().values_list("tier").annotate(Max("week_ending"))
    )
    newest = dict(captured)
    return {tier: newest.get(tier.value) for tier in Tier}


@answering
def weeks(**asked: Unpack[FridaysAsked]) -> Result:
    """A line for each watched week, or for each asked for."""
    question = watched(asked)
    of_weeks: dict[date, list[Standing]] = {}
    for one in standings(question):
        of_weeks.setdefault(one.key.week_ending, []).append(one)
    verdicts = _verdicts(of_weeks)
    rows = [_week_row(week, of_week, verdicts, question.on_day) for week, of_week in of_weeks.items()]
    return Result(WEEKS, head(WEEKS.name, None, rows), (), ledger_table(WEEKS, rows))


def _verdicts(weeks: Iterable[date]) -> Mapping[tuple[date, str], str]:
    judged = Readiness.objects.filter(week_ending__in=list(weeks)).values_list("week_ending", "use", "state")
    return {(week, use): state for week, use, state in judged}


def _week_row(
    week: date, of_week: list[Standing], verdicts: Mapping[tuple[date, str], str], day: date
) -> tuple[Any, ...]:
    held = [one.newest for one in of_week if one.newest is not None]
    looked = [one.look.checked_at for one in of_week if one.look.checked_at]
    sums = (
        sum(capture.rows_kept for capture in held),
        sum((Decimal(capture.shares or 0) for capture in held), Decimal(0)),
        sum(capture.trades for capture in held),
        any(one.restated for one in of_week),
    )
    return (
        week,
        week_start_of(week),
        trading_days(week),
        max(due_date(tier, week) for tier in Tier),
        sum(is_due(one.key, day) for one in of_week),
        len(held),
        *(verdicts.get((week, use)) for use in (Use.TRADING, Use.COMPLIANCE, Use.RESEARCH)),
        *(sums if held else (None,) * len(sums)),
        max(looked, default=None),
    )
