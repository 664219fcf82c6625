"""Analytics snapshots: a week's results, with the captures they came from."""

from __future__ import annotations

from django.contrib import admin

from pipeline import operations
from pipeline.admin.acting import ActingAdmin, Doing
from pipeline.models import Act, AnalyticsSnapshot, OperatorLogEntry
from pipeline.operations import Order


def recompute(chosen: list[AnalyticsSnapshot], order: Order) -> OperatorLogEntry:
    """Compute the weeks again from the newest captures."""
    return operations.recompute({one.week_ending for one in chosen}, order, chosen)


DOINGS: tuple[Doing[AnalyticsSnapshot], ...] = (Doing(Act.RECOMPUTE, recompute, "calculate"),)


@admin.register(AnalyticsSnapshot)
class SnapshotAdmin(ActingAdmin[AnalyticsSnapshot]):
    """Analytics snapshots: a week's results, with the captures they came from."""

    page_template = "pipeline/page.html"
    doings = DOINGS
