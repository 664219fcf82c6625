"""The check-up after each run, and daily: verdicts change as days pass, and what is wrong is said where operators look."""

from __future__ import annotations

import logging

from django.conf import settings

from pipeline.calendar import look_back, market_today
from pipeline.doctor import Diagnosis, diagnose
from pipeline.models import Readiness, Run
from pipeline.weeks import readiness

logger = logging.getLogger(__name__)


def check_up(run: Run | None = None) -> Diagnosis:
    """Judge again the weeks that were judged (a tier that has become due blocks its week); log what the doctor finds."""
    today = run.run_date if run else market_today()
    weeks = settings.MARKETSPINE_LOOKBACK_WEEKS
    judged = Readiness.objects.filter(week_ending__in=look_back(weeks, today)).order_by("week_ending")
    for week in judged.values_list("week_ending", flat=True).distinct():
        readiness.decide_week(week, today)
    diagnosis = diagnose(weeks, today)
    for finding in diagnosis.findings:
        logger.warning("doctor: %s | repaired by: %s", finding.what, finding.command)
    return diagnosis
