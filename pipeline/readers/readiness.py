"""Readiness: the verdicts in the ledger; a week never judged is judged here, by the same function."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Unpack

from django.db.models import Max

from pipeline.finra.calendar import FIRST_WEEK, WEEK, WEEKS_THAT_MAY_WAIT, fully_due_weeks, week_start_of
from pipeline.models import Capture, Check, Readiness, ReadinessState, Use
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.ledger import READINESS
from pipeline.readers.keywords import FridaysAsked
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.partitions import watched
from pipeline.readers.questions import Question
from pipeline.readers.restated import TOUCHED
from pipeline.readers.result import Result
from pipeline.readers.table import ledger_table
from pipeline.readers.values import choices
from pipeline.weeks import readiness as judging

USABLE = (ReadinessState.READY, ReadinessState.PROVISIONAL)


class ReadinessAsked(FridaysAsked, total=False):
    """Filters of weeks and uses."""

    use: str | list[str]


@answering
def readiness(**asked: Unpack[ReadinessAsked]) -> Result:
    """The verdicts on the watched weeks, or on those asked for, per use."""
    uses = choices("use", asked.pop("use", None), Use) or tuple(Use)
    question = watched(asked)
    weeks = _weeks(question)
    rows = list(_rows(weeks, uses, question.on_day))
    return Result(READINESS, head(READINESS.name, None, rows), (), ledger_table(READINESS, rows))


def _weeks(question: Question) -> list[date]:
    """The weeks, oldest first. `weeks=N` counts weeks of which every tier is due, as the command does."""
    if question.weeks.last is None:
        return sorted({key.week_ending for key in keys_of(question)})
    most = (question.on_day - FIRST_WEEK).days // WEEK.days - WEEKS_THAT_MAY_WAIT
    return sorted(fully_due_weeks(max(1, min(question.weeks.last, most)), question.on_day))


def _rows(weeks: Collection[date], uses: Collection[Use], day: date) -> Iterator[tuple[Any, ...]]:
    stored = {(one.week_ending, one.use): one for one in Readiness.objects.filter(week_ending__in=weeks)}
    moved, looked = _last_moved(weeks), _last_looked(weeks)
    for week in weeks:
        judged: Mapping[Use, judging.Verdict] = {} if _is_judged(stored, week) else judging.assess(week, day)
        for use in uses:
            one = stored.get((week, use))
            verdict = judged.get(use)
            state, reasons, codes = (verdict.state, verdict.sentences, verdict.codes) if verdict else _said(one)
            later = bool(one and one.state in USABLE and week in moved and moved[week] > one.since)
            yield (
                week,
                week_start_of(week),
                use.value,
                str(state),
                reasons,
                codes,
                one.since if one else None,
                one.decided_at if one else None,
                later,
                looked.get(week),
            )


def _is_judged(stored: Mapping[tuple[date, str], Readiness], week: date) -> bool:
    return all((week, use) in stored for use in Use)


def _said(one: Readiness | None) -> tuple[str, list[str], list[str]]:
    return (one.state, one.reasons, one.reason_codes) if one else ("", [], [])


def _last_moved(weeks: Collection[date]) -> Mapping[date, datetime]:
    """When rows of each week last changed, by a restatement or by an operator."""
    later = Capture.objects.normalized().filter(TOUCHED, version__gt=1, partition__week_ending__in=weeks)
    return dict(later.order_by().values_list("partition__week_ending").annotate(Max("normalized_at")))


def _last_looked(weeks: Collection[date]) -> Mapping[date, datetime]:
    of_weeks = Check.objects.filter(partition__week_ending__in=weeks).order_by()
    return dict(of_weeks.values_list("partition__week_ending").annotate(Max("checked_at")))
