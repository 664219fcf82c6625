"""Anomalies, resolved and reopened with a note."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from pipeline import operations
from pipeline.admin.anomalies.mending import mending
from pipeline.admin.anomalies.page import contents
from pipeline.admin.shared import figures
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.shared.searching import of_choices, of_partition, words
from pipeline.finra.calendar import read_day
from pipeline.models import Act, Anomaly, Category, Readiness, Severity

WEEKS_OFFERED = 104
SHOWN_OF_A_MESSAGE = 160

OBJECT_ACTIONS: tuple[ObjectAction[Anomaly], ...] = (
    ObjectAction(
        Act.RESOLVE,
        operations.resolve,
        "task_alt",
        needs_reason=True,
        fits=lambda anomaly: anomaly.resolved_at is None,
        explained="Say what you found and did. The week is judged again at once.",
        tone="primary",
    ),
    ObjectAction(
        Act.REOPEN,
        operations.reopen,
        "undo",
        needs_reason=True,
        fits=lambda anomaly: anomaly.resolved_at is not None,
        explained="It counts as open again, and the week is judged again at once.",
    ),
)


def gravity() -> Case:
    """Severity as a number, 0 for the gravest."""
    grades = (When(severity=severity, then=Value(grade)) for grade, severity in enumerate(Severity.values))
    return Case(*grades, default=Value(-1), output_field=IntegerField())


class OpenFilter(admin.SimpleListFilter):
    """Filters by open or resolved."""

    title = "state"
    parameter_name = "resolved_at__isnull"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("True", "open"), ("False", "resolved"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Anomaly]) -> QuerySet[Anomaly]:
        conditions = {"True": Q(resolved_at__isnull=True), "False": Q(resolved_at__isnull=False)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


class WeekFilter(DropdownFilter):  # type: ignore[misc] # the skin has no types
    """Filters by the week concerned: its own, or its partition's. The choices are the judged weeks, newest first."""

    title = "week ending"
    parameter_name = "week"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        judged = Readiness.objects.order_by("-week_ending").values_list("week_ending", flat=True).distinct()
        offered = [week.isoformat() for week in judged[:WEEKS_OFFERED]]
        asked = request.GET.get(self.parameter_name, "")  # a filter without choices would not filter
        return [(week, week) for week in (offered if asked in ("", *offered) else [asked, *offered])]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Anomaly]:
        """The anomalies of the week; none for a text that is no day."""
        if not self.value():
            return queryset  # type: ignore[no-any-return]
        week = read_day(self.value())
        return queryset.of_week(week) if week else queryset.none()  # type: ignore[no-any-return]


@admin.register(Anomaly)
class AnomalyAdmin(ActingAdmin[Anomaly]):
    """Anomalies: open ones first, by severity."""

    page_template = "pipeline/anomaly.html"
    when_empty = "Nobody has to look at anything: no run has met what it could not settle by itself."
    list_display = ("what", "grade", "where", "seen", "state")
    list_select_related = ("partition",)
    list_filter = (
        OpenFilter,
        "severity",
        ("category", ChoicesDropdownFilter),
        "partition__tier",
        WeekFilter,
    )
    search_fields = ("message", "note", "resolved_by", "payload_sha256__startswith")
    search_help_text = (
        "A category, a tier, a week, open or resolved; words of the message or the note; who resolved it; a hash"
    )
    ordering = (F("resolved_at").desc(nulls_first=True), gravity().desc(), "-last_seen_at", "-pk")
    object_actions = OBJECT_ACTIONS
    linked = ("partition__exact",)

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Anomaly], search_term: str
    ) -> tuple[QuerySet[Anomaly], bool]:
        """Search all that the list shows: each word has to be somewhere."""
        for word in words(search_term):
            queryset = queryset.filter(_says(word))
        return queryset, False

    @admin.display(description="what happened", ordering="category")
    def what(self, anomaly: Anomaly) -> SafeString:
        message = anomaly.message
        text = message if len(message) <= SHOWN_OF_A_MESSAGE else f"{message[:SHOWN_OF_A_MESSAGE]}..."
        return format_html(
            '<span class="rv-category">{}</span> <span class="rv-message" title="{}">{}</span>',
            anomaly.category.replace("_", " ").lower(),
            message,
            text,
        )

    @admin.display(description="severity", ordering=gravity())
    def grade(self, anomaly: Anomaly) -> SafeString:
        return badge(anomaly.severity)

    @admin.display(description="where")
    def where(self, anomaly: Anomaly) -> SafeString | str:
        return link(anomaly.partition) if anomaly.partition else week_link(anomaly.week_ending)

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, anomaly: Anomaly) -> SafeString:
        """When, and how often since when."""
        last = f"{anomaly.last_seen_at:%Y-%m-%d %H:%M} UTC"
        often = f"{figures.number(anomaly.occurrences)} times since {anomaly.first_seen_at.date()}"
        more = format_html('<br><span class="ms-quiet">{}</span>', often) if anomaly.occurrences > 1 else ""
        return format_html("<span>{}{}</span>", last, more)

    @admin.display(description="state", ordering="resolved_at")
    def state(self, anomaly: Anomaly) -> SafeString:
        return standing(anomaly)

    def page(self, request: HttpRequest, found: Anomaly) -> dict[str, Any]:
        """Its place and times, the next step, and how it was resolved and reopened."""
        frame, mends = self.frame_of(request, found), mending(request, found)
        if mends and mends.button:
            frame["buttons"] = [mends.button, *(replace(button, tone="") for button in frame["buttons"])]
        return {**frame, "standing": standing(found), "mending": mends, **contents(found)}


def _says(word: str) -> Q:
    text = Q(message__icontains=word) | Q(note__icontains=word) | Q(resolved_by__icontains=word)
    named = of_choices("category", Category.choices, word) | of_choices("severity", Severity.choices, word)
    where = of_partition("partition__", word) | Q(payload_sha256__startswith=word.lower())
    if week := read_day(word):
        where |= Q(week_ending=week)
    state = {"open": Q(resolved_at__isnull=True), "resolved": Q(resolved_at__isnull=False)}.get(
        word.lower(), Q(pk__in=())
    )
    return text | named | where | state


def standing(anomaly: Anomaly) -> SafeString:
    """Open, or resolved by whom and when."""
    if anomaly.resolved_at is None:
        return badge("MISSING", "open")
    return format_html(
        '{} <span class="ms-quiet">{} by {}</span>',
        badge("DONE", "resolved"),
        anomaly.resolved_at.date().isoformat(),
        anomaly.resolved_by,
    )
