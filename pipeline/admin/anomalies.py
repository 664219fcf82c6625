"""Anomalies: what a person has to look at, resolved and reopened with a note."""

from __future__ import annotations

from django.contrib import admin

from pipeline import operations
from pipeline.admin.acting import ActingAdmin, Doing
from pipeline.models import Act, Anomaly

DOINGS: tuple[Doing[Anomaly], ...] = (
    Doing(
        Act.RESOLVE,
        operations.resolve,
        "task_alt",
        needs_reason=True,
        fits=lambda anomaly: anomaly.resolved_at is None,
        explained="Say what you found and did. The week is judged again at once.",
        tone="primary",
    ),
    Doing(
        Act.REOPEN,
        operations.reopen,
        "undo",
        needs_reason=True,
        fits=lambda anomaly: anomaly.resolved_at is not None,
        explained="It counts as open again, and the week is judged again at once.",
    ),
)


@admin.register(Anomaly)
class AnomalyAdmin(ActingAdmin[Anomaly]):
    """Anomalies: what a person has to look at, resolved and reopened with a note."""

    page_template = "pipeline/page.html"
    doings = DOINGS
