"""Notices, with the channels that were told of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from pipeline.admin.anomalies.admin import gravity
from pipeline.admin.notices.channels import delivery_badge
from pipeline.admin.shared import figures
from pipeline.admin.shared.base import DayFilter, EvidenceAdmin, badge, link
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.shared.searching import of_choices, words
from pipeline.finra.calendar import read_day
from pipeline.models import DeliveryState, Event, Notice, Severity

SHOWN = 100


class OpenFilter(admin.SimpleListFilter):
    """Filters by whether the event goes on."""

    title = "state"
    parameter_name = "closed_at__isnull"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("True", "open"), ("False", "over"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notice]) -> QuerySet[Notice]:
        conditions = {"True": Q(closed_at__isnull=True), "False": Q(closed_at__isnull=False)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Notice)
class NoticeAdmin(EvidenceAdmin[Notice]):
    """Notices, the newest change first."""

    page_template = "pipeline/notice.html"
    when_empty = "Nothing has happened that anybody would be told of."
    list_display = ("what_", "grade", "where", "since", "standing", "told")
    list_select_related = ("run",)
    list_filter = (OpenFilter, "severity", ("event", ChoicesDropdownFilter), "tier", ("opened_at", DayFilter))
    search_fields = ("place", "what")
    search_help_text = "An event, a severity, a week, a tier; words of what it says"

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        """The notices, with their numbers of sent and waiting deliveries."""
        sent = Count("deliveries", filter=Q(deliveries__state=DeliveryState.SENT))
        waits = Count("deliveries", filter=Q(deliveries__state__in=(DeliveryState.PENDING, DeliveryState.MUTED)))
        return super().get_queryset(request).annotate(sent=sent, waits=waits)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Notice], search_term: str
    ) -> tuple[QuerySet[Notice], bool]:
        """Search all that the list shows: each word has to be somewhere."""
        for word in words(search_term):
            queryset = queryset.filter(_says(word))
        return queryset, False

    @admin.display(description="what happened", ordering="event")
    def what_(self, notice: Notice) -> SafeString:
        return format_html(
            '<span class="rv-category">{}</span> <span class="rv-message" title="{}">{}</span>',
            notice.event_name,
            notice.what,
            notice.what[:160],
        )

    @admin.display(description="severity", ordering=gravity())
    def grade(self, notice: Notice) -> SafeString:
        return badge(notice.severity)

    @admin.display(description="where", ordering="place")
    def where(self, notice: Notice) -> str:
        return notice.place

    @admin.display(description="since", ordering="opened_at")
    def since(self, notice: Notice) -> str:
        return f"{notice.opened_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="state", ordering="closed_at")
    def standing(self, notice: Notice) -> SafeString:
        return standing(notice)

    @admin.display(description="messages")
    def told(self, notice: Any) -> str:
        waits = f", {figures.number(notice.waits)} waiting" if notice.waits else ""
        return f"{figures.number(notice.sent)} sent{waits}"

    def page(self, request: HttpRequest, found: Notice) -> dict[str, Any]:
        """The event, and its deliveries."""
        deliveries = found.deliveries.select_related("channel", "muted_by").order_by("-pk")[:SHOWN]
        return {
            "severity": badge(found.severity),
            "standing": standing(found),
            "week": week_link(found.week_ending),
            "run": link(found.run, f"run {found.run_id}"),
            "deliveries": [
                (
                    each,
                    link(each.channel),
                    delivery_badge(each.state),
                    link(each.muted_by, f"silence {each.muted_by_id}"),
                )
                for each in deliveries
            ],
        }


def standing(notice: Notice) -> SafeString:
    """Open, over since an instant, or news."""
    if notice.is_momentary:
        return badge("UNCHANGED", "news")
    if notice.closed_at is None:
        return badge("MISSING", "open")
    return format_html(
        '{} <span class="ms-quiet">{}</span>', badge("DONE", "over"), f"{notice.closed_at:%Y-%m-%d %H:%M}"
    )


def _says(word: str) -> Q:
    named = of_choices("event", Event.choices, word) | of_choices("severity", Severity.choices, word)
    week = read_day(word)
    of_its_week = Q(week_ending=week) if week else Q(pk__in=())
    state = {"open": Q(closed_at__isnull=True), "over": Q(closed_at__isnull=False)}.get(word.lower(), Q(pk__in=()))
    return Q(place__icontains=word) | Q(what__icontains=word) | named | of_its_week | state
