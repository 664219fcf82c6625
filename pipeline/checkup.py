"""The check-up after each run, and daily: verdicts change as days pass, and what is wrong is said where operators look."""

from __future__ import annotations

import logging

from pipeline import readiness
from pipeline.calendar import Tier, due_weeks, market_today
from pipeline.doctor import Diagnosis, diagnose
from pipeline.models import Readiness, Run

logger = logging.getLogger(__name__)

WEEKS = 13


def check_up(run: Run | None = None) -> Diagnosis:
    """Judge again the weeks that were judged (a tier that has become due blocks its week); log what the doctor finds."""
    today = run.run_date if run else market_today()
    oldest = due_weeks(Tier.OTC, WEEKS, today)[-1]
    judged = Readiness.objects.filter(week_ending__gte=oldest).order_by("week_ending")
    for week in judged.values_list("week_ending", flat=True).distinct():
        readiness.decide_week(week, today)
    diagnosis = diagnose(WEEKS, today)
    for finding in diagnosis.findings:
        logger.warning("doctor: %s | repaired by: %s", finding.what, finding.command)
    return diagnosis
