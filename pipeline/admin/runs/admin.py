"""Runs: their progress, live while under way; cancelling and retrying."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from pipeline import operations
from pipeline.admin.runs import backfill_form, page, progress
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction, one
from pipeline.admin.shared.base import DayFilter, badge
from pipeline.admin.shared.offered import OfferedList
from pipeline.models import BAD_OUTCOMES, Act, Run, RunPartition, RunStatus
from pipeline.runs.stopped import has_stopped, hindrance

SHOWN_OF_A_REASON = 80

OBJECT_ACTIONS: tuple[ObjectAction[Run], ...] = (
    ObjectAction(
        Act.RESUME_RUN,
        one(operations.resume),
        "resume",
        fits=lambda run: has_stopped(run) and not hindrance(run),
        in_list=False,
        tone="primary",
    ),
    ObjectAction(
        Act.RETRY_FAILED,
        one(operations.retry_failed),
        "refresh",
        fits=lambda run: run.status == RunStatus.FAILED and operations.still_failed(run).exists(),
        in_list=False,
        tone="primary",
    ),
    ObjectAction(
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


class RunList(OfferedList):
    """The runs of a page, with `counts` by one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        runs: list[Any] = list(self.result_list)
        counts = progress.counts_of([run.pk for run in runs])
        for run in runs:
            run.counts = counts.get(run.pk, {})
        self.result_list = runs


class FailuresFilter(admin.SimpleListFilter):
    """Filters by whether a partition failed, was refused or is late."""

    title = "failures"
    parameter_name = "failures"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("some", "some"), ("none", "none"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        failed = Exists(RunPartition.objects.filter(run=OuterRef("pk"), outcome__in=BAD_OUTCOMES))
        conditions = {"some": Q(failed), "none": ~Q(failed)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Run)
class RunAdmin(ActingAdmin[Run]):
    """The runs, newest first."""

    page_template = "pipeline/run.html"
    when_empty = "Nothing has run yet. Run a schedule now, or backfill a range of weeks."
    list_display = ("name", "state", "what", "by", "why", "started", "took", "outcomes")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        "trigger",
        ("command", admin.AllValuesFieldListFilter),
        FailuresFilter,
        ("created_at", DayFilter),
        ("schedule", admin.AllValuesFieldListFilter),
    )
    search_fields = ("requested_by", "reason", "schedule", "command")
    search_help_text = "Who started it; words of the reason; the schedule; the command"
    object_actions = OBJECT_ACTIONS

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_urls(self) -> list[URLPattern]:
        """The addresses of the backfill form and of the live part, before Django's own."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="pipeline_run_live")
        return [*backfill_form.urls(self), live, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OfferedList]:
        """The list with counts."""
        return RunList

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of a run's page that changes while the run is under way."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        found = self.find(request, object_id)
        context = {"object": found, **progress.live(found, request.GET.get("page"))}
        return TemplateResponse(request, "pipeline/run_live.html", context)

    @admin.display(description="run", ordering="pk")
    def name(self, run: Run) -> str:
        return f"Run {run.pk}"

    @admin.display(description="state", ordering="status")
    def state(self, run: Run) -> SafeString:
        return badge(run.status)

    @admin.display(description="command", ordering="command")
    def what(self, run: Run) -> SafeString:
        return format_html('<span class="ms-mono">{}</span>', run.command)

    @admin.display(description="started by", ordering="requested_by")
    def by(self, run: Run) -> SafeString:
        """The trigger and the person; for a schedule its name and slot."""
        who = f"{run.schedule} of {run.slot:%Y-%m-%d %H:%M} UTC" if run.slot else run.requested_by
        return format_html('{} <span class="ms-quiet">{}</span>', run.get_trigger_display(), who)

    @admin.display(description="why")
    def why(self, run: Run) -> SafeString | str:
        reason = run.reason
        text = reason if len(reason) <= SHOWN_OF_A_REASON else f"{reason[:SHOWN_OF_A_REASON]}..."
        return format_html('<span class="rv-why" title="{}">{}</span>', reason, text) if reason else "-"

    @admin.display(description="started", ordering="created_at")
    def started(self, run: Run) -> str:
        return f"{run.created_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        return progress.duration(run)

    @admin.display(description="partitions")
    def outcomes(self, run: Any) -> SafeString:
        badges = progress.outcome_badges(run.counts)
        return format_html('<span class="rv-badges">{}</span>', format_html_join("", "{}", ((one,) for one in badges)))

    def page(self, request: HttpRequest, found: Run) -> dict[str, Any]:
        """Its progress, request, captures, anomalies and log."""
        return {
            "title": f"Run {found.pk}",
            **self.frame_of(request, found),
            **progress.live(found, request.GET.get("page")),
            **page.contents(found),
            "summary": page.summary(found),
        }
