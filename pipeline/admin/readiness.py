"""Readiness: per week and use, the verdict and what stands in the way."""

from __future__ import annotations

from django.contrib import admin

from pipeline import operations
from pipeline.admin.acting import ActingAdmin, Doing
from pipeline.models import Act, OperatorLogEntry, Readiness
from pipeline.operations import Order


def recompute(chosen: list[Readiness], order: Order) -> OperatorLogEntry:
    """Compute the weeks again from the newest captures."""
    return operations.recompute({one.week_ending for one in chosen}, order, chosen)


DOINGS: tuple[Doing[Readiness], ...] = (
    Doing(Act.REEVALUATE, operations.reevaluate, "rule", tone="primary"),
    Doing(Act.RECOMPUTE, recompute, "calculate"),
)


@admin.register(Readiness)
class ReadinessAdmin(ActingAdmin[Readiness]):
    """Readiness: per week and use, the verdict and what stands in the way."""

    page_template = "pipeline/page.html"
    doings = DOINGS
