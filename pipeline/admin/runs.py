"""Runs: what each did to its partitions and weeks, live while it is under way; cancelling and retrying."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern

from pipeline import operations
from pipeline.admin import backfill
from pipeline.admin.acting import ActingAdmin, Doing, one
from pipeline.models import Act, Run, RunStatus

DOINGS: tuple[Doing[Run], ...] = (
    Doing(
        Act.RETRY_FAILED,
        one(operations.retry_failed),
        "refresh",
        fits=lambda run: run.status == RunStatus.FAILED,
        in_list=False,
        tone="primary",
    ),
    Doing(
        Act.CANCEL_RUN,
        one(operations.cancel),
        "cancel",
        needs_reason=True,
        fits=lambda run: run.status in (RunStatus.RUNNING, RunStatus.INTERRUPTED),
        explained="Partitions that have not started will not start; those under way finish, and what they captured is kept.",
        in_list=False,
        tone="danger",
    ),
)


@admin.register(Run)
class RunAdmin(ActingAdmin[Run]):
    """Runs: what each did to its partitions and weeks, live while it is under way; cancelling and retrying."""

    page_template = "pipeline/page.html"
    doings = DOINGS

    def get_urls(self) -> list[URLPattern]:
        """The backfill form's address, before those of the runs."""
        return [*backfill.urls(self), *super().get_urls()]
