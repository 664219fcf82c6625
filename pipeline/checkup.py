"""The check-up after each run, and daily: verdicts change as days pass, and what is wrong is said where operators look."""

from __future__ import annotations

import logging

from pipeline import readiness
from pipeline.calendar import Tier, due_weeks, market_today, not_yet_due_weeks
from pipeline.doctor import Diagnosis, diagnose
from pipeline.models import Run

logger = logging.getLogger(__name__)

WEEKS = 13


def check_up(run: Run | None = None) -> Diagnosis:
    """Judge the last weeks again (a partition that has become due blocks its week), and log what the doctor finds."""
    today = run.run_date if run else market_today()
    weeks = {week for tier in Tier for week in (*due_weeks(tier, WEEKS, today), *not_yet_due_weeks(tier, today))}
    for week in sorted(weeks):
        readiness.decide_week(week, today)
    diagnosis = diagnose(WEEKS, today)
    for finding in diagnosis.findings:
        logger.warning("doctor: %s | repaired by: %s", finding.what, finding.command)
    return diagnosis
