"""Schedules: the rows of django-celery-beat in the same skin; running one now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_celery_beat.admin  # noqa: F401
import django_celery_results.admin  # noqa: F401
from django.contrib import admin
from django.db.models import ForeignKey, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import TabularInline

from pipeline import operations
from pipeline.admin.people.traced import Traced
from pipeline.admin.schedules.form import TASKS, ScheduleForm
from pipeline.admin.schedules.times import crontab_in_words, in_words, next_at
from pipeline.admin.shared.acting import FormAdmin, ObjectAction, one
from pipeline.admin.shared.base import Framed, badge, link
from pipeline.admin.shared.lines import acts_on
from pipeline.models import Act, OperatorLogEntry, Run
from pipeline.operations import Order, Refused
from pipeline.task_names import START_SCHEDULED

# Their admins are imported to replace their registrations. Celery's results have no page: the ledger has the outcomes.
for model in (PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule, TaskResult, GroupResult):
    admin.site.unregister(model)

RUNS_SHOWN = 10


def run_now(chosen: list[PeriodicTask], order: Order) -> OperatorLogEntry:
    """Start the schedule's run; Refused for several schedules at once."""
    if len(chosen) != 1:
        raise Refused(f"{len(chosen)} schedules are selected: run them one by one, each is a run of its own")
    return one(operations.run_now)(chosen, order)


@admin.register(PeriodicTask)
class ScheduleAdmin(Traced, FormAdmin[PeriodicTask]):
    """Schedules: beat sends each at its time, and an operator may run one now."""

    form = ScheduleForm
    change_form_template = "pipeline/schedule.html"
    list_before_template = "pipeline/schedule_kinds.html"
    list_display = ("name", "on", "does", "time", "comes_next", "came_last")
    list_filter = ("enabled", "task")
    list_filter_submit = True
    list_filter_sheet = False
    list_select_related = ("crontab", "interval", "solar", "clocked")
    search_fields = ("name", "description")
    search_help_text = "Words of the name or of the description"
    ordering = ("name",)
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        ("When", {"fields": ("crontab", "interval", "solar", "clocked", "one_off", "start_time", "expires")}),
        ("With what", {"fields": ("kwargs",)}),
        ("Sending", {"fields": ("args", "queue", "priority", "expire_seconds"), "classes": ("collapse",)}),
    )
    object_actions = (ObjectAction(Act.RUN_NOW, run_now, "play_arrow", tone="primary"),)

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        """The schedules, with the newest run of each, found by the index of the slots."""
        runs = Run.objects.filter(schedule=OuterRef("name")).order_by("-slot")
        newest = {"last_run": Subquery(runs.values("pk")[:1]), "last_status": Subquery(runs.values("status")[:1])}
        found: QuerySet[PeriodicTask] = super().get_queryset(request).annotate(**newest)
        return found

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Offer crontabs in words."""
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "crontab":
            field.label_from_instance = crontab_in_words
        return field

    @admin.display(description="state", ordering="enabled")
    def on(self, row: PeriodicTask) -> SafeString:
        return badge("GOOD", "on") if row.enabled else badge("CANCELLED", "off")

    @admin.display(description="does", ordering="task")
    def does(self, row: PeriodicTask) -> str:
        return TASKS.get(str(row.task), str(row.task))

    @admin.display(description="when")
    def time(self, row: PeriodicTask) -> SafeString:
        return format_html('<span class="rv-why">{}</span>', in_words(row))

    @admin.display(description="next")
    def comes_next(self, row: PeriodicTask) -> str:
        return _moment(next_at(row, timezone.now()))

    @admin.display(description="last")
    def came_last(self, row: Any) -> SafeString | str:
        """The newest run that it started; for a schedule that starts none, when beat last sent it."""
        if row.last_run:
            return format_html("{} {}", link(Run(pk=row.last_run), f"run {row.last_run}"), badge(row.last_status))
        if row.task == START_SCHEDULED or not row.total_run_count:
            return "never ran"
        return _moment(row.last_run_at)

    def beside(self, row: PeriodicTask) -> dict[str, Any]:
        """The next times, and the last runs."""
        runs = Run.objects.filter(schedule=row.name).order_by("-slot")[:RUNS_SHOWN]
        return {
            "row": row,
            "on": self.on(row),
            "when": in_words(row),
            "next": _moment(next_at(row, timezone.now())),
            "last_is": "Last run" if row.task == START_SCHEDULED else "Sent by beat last",
            "last": self.came_last(row),
            "runs": [(run, link(run, f"run {run.pk}"), badge(run.status)) for run in runs],
            "acts": acts_on([("periodictask", [row.pk])]),
        }


class UsedBy(TabularInline):  # type: ignore[misc] # the skin has no types
    """The schedules with this time."""

    model = PeriodicTask
    fields = readonly_fields = ("name", "task", "enabled")
    verbose_name_plural = "Schedules that come then"
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Schedules are added in their own form only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Schedules are changed in their own form only."""
        return False


class TimeAdmin(Traced, Framed[Any]):
    """A time of schedules. Deleting it deletes them, after a question."""

    inlines = (UsedBy,)
    show_full_result_count = False


@admin.register(CrontabSchedule)
class CrontabAdmin(TimeAdmin):
    """Crontabs: times by the clock of a time zone."""

    list_display = ("times",)
    fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")

    @admin.display(description="when")
    def times(self, crontab: CrontabSchedule) -> str:
        return crontab_in_words(crontab)


@admin.register(IntervalSchedule)
class IntervalAdmin(TimeAdmin):
    """Intervals."""


@admin.register(SolarSchedule)
class SolarAdmin(TimeAdmin):
    """Times by the sun."""

    list_display = ("event", "latitude", "longitude")


@admin.register(ClockedSchedule)
class ClockedAdmin(TimeAdmin):
    """Single times."""

    list_display = ("clocked_time",)


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "-"
