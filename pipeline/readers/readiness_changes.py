"""The feed of verdicts: that a week became READY for a use, or is no longer, which a poller follows with one integer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Unpack

from django.db.models import Max, QuerySet

from pipeline.finra.calendar import week_start_of
from pipeline.models import ReadinessChange, ReadinessState, Use
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.ledger import READINESS_CHANGES
from pipeline.readers.feed import Feed, FeedFacts
from pipeline.readers.keywords import FridaysAsked
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.positions import reached
from pipeline.readers.questions import Weeks, question_of
from pipeline.readers.result import Result
from pipeline.readers.values import choices


class ReadinessChangesAsked(FridaysAsked, total=False):
    """Which changes: behind a position of the feed, of uses and of weeks; without weeks, of all."""

    after: int | str
    use: str | Sequence[str]


@answering
def readiness_changes(**asked: Unpack[ReadinessChangesAsked]) -> Result:
    """Every verdict that became another, behind a position, in the order of the feed; each once, whatever commits late.

    The positions are those of the feed of restatements: rows at the position of a verdict have all captures that it judged.
    """
    placed, weeks = ReadinessChange.objects.placed(), _weeks(asked)
    newest = placed.aggregate(newest=Max("position"))["newest"] or 0
    found = _asked(placed, weeks, asked).filter(position__lte=newest)
    said = sorted((name, str(value)) for name, value in asked.items() if name != "on_day")  # a cursor adds that
    meta = head(READINESS_CHANGES.name, FeedFacts(newest), [newest, *map(str, weeks or ()), *said])
    return Result(READINESS_CHANGES, meta, (), Feed(READINESS_CHANGES, found, _rows, "no verdict changed"))


def _weeks(asked: ReadinessChangesAsked) -> list[date] | None:
    """The weeks that are asked for, which move on where the last so many are; None for all."""
    question = question_of(asked)
    return None if question.weeks == Weeks() else sorted({key.week_ending for key in keys_of(question)})


def _asked(
    changes: QuerySet[ReadinessChange], weeks: Sequence[date] | None, asked: ReadinessChangesAsked
) -> QuerySet[ReadinessChange]:
    uses = choices("use", asked.get("use"), Use)
    if weeks is not None:
        changes = changes.filter(week_ending__in=weeks)
    if uses:
        changes = changes.filter(use__in=uses)
    return changes.filter(position__gt=reached("after", asked["after"])) if asked.get("after") is not None else changes


def _rows(changes: Sequence[ReadinessChange]) -> Iterator[tuple[Any, ...]]:
    for one in changes:
        yield (
            one.position,
            one.changed_at,
            one.week_ending,
            week_start_of(one.week_ending),
            one.use,
            one.state_before or None,
            one.state,
            one.state == ReadinessState.READY,
            one.state_before == ReadinessState.READY,
            one.reasons,
            one.reason_codes,
        )
