"""The body of the chord: close a week of a run, once its partitions are done; analytics, then readiness."""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from pipeline.capture import endings, survey
from pipeline.checkpoints import checkpoints
from pipeline.models import (
    Anomaly,
    Calculation,
    Category,
    PartitionStatus,
    Run,
    RunPartition,
    Severity,
    Stage,
)
from pipeline.resilience.failures import explained
from pipeline.resilience.retries import is_transient
from pipeline.runs.request import OnlyStage, Request
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, readiness

logger = logging.getLogger(__name__)


@checkpoints("week.close")
def close_week(run: Run, week_ending: date) -> bool:
    """Compute the week's analytics and decide its readiness, once its partitions are done; whether this call did.

    Of several callers at once one closes the week, the others pass over it. Idempotent: what is computed already is not
    computed again. Errors that may pass go to the caller, and leave the week open.
    """
    open_week = run.weeks.filter(week_ending=week_ending, closed_at__isnull=True)
    if not open_week.filter(~_is_undone()).exists():
        return False
    for other in survey.survey(week_ending, run):
        readiness.decide_week(other, run.run_date)
    calculation, reason = _calculate(run, week_ending)  # no transaction is open: SQLite has one writer at a time
    with transaction.atomic():
        if not list(open_week.select_for_update(of=("self",), skip_locked=True)):
            return False
        readiness.decide_week(week_ending, run.run_date)
        return bool(open_week.update(closed_at=timezone.now(), calculation=calculation, reason=reason))


def complete_weeks(run: Run, since: datetime) -> list[date]:
    """The open weeks of a run that have had nothing left to do since an instant."""
    complete = run.weeks.filter(~_is_undone(Q(finished_at__gt=since)), closed_at__isnull=True)
    return list(complete.values_list("week_ending", flat=True))


def _is_undone(recent: Q = Q()) -> Exists:  # noqa: B008 - the empty condition, which none changes
    """Whether a week of a run has partitions left to do, or `recent` ones."""
    of_week = RunPartition.objects.filter(run=OuterRef("run"), partition__week_ending=OuterRef("week_ending"))
    return Exists(of_week.filter(~Q(status=PartitionStatus.DONE) | recent))


def _calculate(run: Run, week_ending: date) -> tuple[Calculation, str]:
    """The result of the week's calculation, and the reason."""
    if Request.from_parameters(run.parameters).only_stage not in (OnlyStage.ALL, OnlyStage.CALC):
        return Calculation.SKIPPED, "not asked for"
    try:
        calculated = analytics.calculate_week(week_ending, run)
    except Exception as error:
        if is_transient(error):
            raise
        sentence = str(error) if isinstance(error, VintageDamaged) else explained(error)
        message = sentence or f"{type(error).__name__}: {error}"
        logger.error(
            "run %s: analytics of %s failed: %s", run.pk, week_ending, message, exc_info=None if sentence else error
        )
        Anomaly.objects.record(
            Category.CALC_FAILED, Severity.ERROR, message, week_ending=week_ending, stage=Stage.CALC, run=run
        )
        return Calculation.FAILED, message
    endings.calculated(week_ending, run)
    return calculated.outcome, calculated.reason


@checkpoints("weeks.close")
def close_complete(run: Run, since: datetime | None = None) -> int:
    """Close the weeks of a run that have had nothing left to do since an instant (default: now); how many."""
    return sum(close_week(run, week) for week in complete_weeks(run, since or timezone.now()))
