"""Weeks on which work was begun and not finished: their analytics or their verdicts are not those of the newest captures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pipeline.weeks import analytics, readiness

NOT_COMPUTED = "the analytics are not computed from the newest captures"
NOT_JUDGED = "its readiness is not judged by what the ledger says now"


def is_not_computed(week: date) -> bool:
    """Whether something is captured, and the newest analytics are computed from something else."""
    captured = analytics.inputs_of(week)
    return bool(captured) and not analytics.is_current(analytics.newest_snapshot(week, captured), captured)


def is_not_judged(week: date, stored: Mapping[str, str], today: date) -> bool:
    """Whether the verdicts by use are others than those stored."""
    return stored != {use: verdict.state for use, verdict in readiness.assess(week, today).items()}


def why(week: date, stored: Mapping[str, str], today: date) -> str:
    """The first unfinished step of a week, as a sentence; empty if there is none."""
    if is_not_computed(week):
        return NOT_COMPUTED
    return NOT_JUDGED if is_not_judged(week, stored, today) else ""
