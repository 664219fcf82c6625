"""Analytics snapshots: a week's results, with the captures that they came from."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateFilter

from pipeline import operations
from pipeline.admin.shared import downloads
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction
from pipeline.admin.shared.base import DayFilter, badge, page_url
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.weeks import snapshot_symbols
from pipeline.admin.weeks.snapshot_page import contents
from pipeline.models import Act, AnalyticsSnapshot, OperatorLogEntry
from pipeline.operations import Order
from pipeline.vintages.store import VintageDamaged


def recompute(chosen: list[AnalyticsSnapshot], order: Order) -> OperatorLogEntry:
    """Compute the weeks again from the newest captures."""
    return operations.recompute({one.week_ending for one in chosen}, order, chosen)


OBJECT_ACTIONS: tuple[ObjectAction[AnalyticsSnapshot], ...] = (ObjectAction(Act.RECOMPUTE, recompute, "calculate"),)


@admin.register(AnalyticsSnapshot)
class SnapshotAdmin(ActingAdmin[AnalyticsSnapshot]):
    """The snapshots of all weeks, newest first, with superseded ones."""

    page_template = "pipeline/snapshot.html"
    when_empty = "No week has been computed yet: a run computes each week of which it holds a capture."
    list_display = ("week", "number", "standing", "came_from", "calculation", "computed")
    list_display_links = ("number",)
    list_filter = (("week_ending", RangeDateFilter), ("computed_at", DayFilter), "calculation_version")
    search_fields = ("inputs_hash__startswith",)
    search_help_text = "The start of the hash of the inputs"
    object_actions = OBJECT_ACTIONS

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[AnalyticsSnapshot]:
        """The snapshots, with `followed` (whether a newer one exists), and the inputs in one query for all."""
        later = AnalyticsSnapshot.objects.filter(week_ending=OuterRef("week_ending"), sequence__gt=OuterRef("sequence"))
        return super().get_queryset(request).annotate(followed=Exists(later)).prefetch_related("inputs__partition")

    @admin.display(description="week ending", ordering="week_ending")
    def week(self, snapshot: AnalyticsSnapshot) -> SafeString | str:
        return week_link(snapshot.week_ending)

    @admin.display(description="snapshot", ordering="sequence")
    def number(self, snapshot: AnalyticsSnapshot) -> str:
        return f"snapshot {snapshot.sequence}"

    @admin.display(description="state")
    def standing(self, snapshot: Any) -> SafeString:
        return badge("UNCHANGED", "computed again since") if snapshot.followed else badge("GOOD", "newest")

    @admin.display(description="computed from")
    def came_from(self, snapshot: AnalyticsSnapshot) -> SafeString:
        """The tiers and versions, as links to the captures."""
        inputs = sorted(snapshot.inputs.all(), key=lambda capture: capture.partition.tier)
        rows = ((page_url(one), one.partition.tier, one.version) for one in inputs)
        links = format_html_join(" ", '<a class="ms-link" href="{}">{} v{}</a>', rows)
        return format_html('<span class="rv-ways rv-inputs">{}</span>', links)

    @admin.display(description="calculation", ordering="calculation_version")
    def calculation(self, snapshot: AnalyticsSnapshot) -> str:
        return f"version {snapshot.calculation_version}"

    @admin.display(description="computed", ordering="computed_at")
    def computed(self, snapshot: AnalyticsSnapshot) -> str:
        return f"{snapshot.computed_at:%Y-%m-%d %H:%M} UTC"

    def get_urls(self) -> list[URLPattern]:
        """The addresses of its symbols' page and downloads, before Django's own."""
        pages: dict[str, downloads.View] = {"symbols": self.symbols_view}
        files = {f"symbols.{form}": partial(self.symbols_download, form=form) for form in downloads.FORMATS}
        return [*downloads.addresses(self, pages, files), *super().get_urls()]

    def symbols_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page of its symbols."""
        found = self.find(request, object_id)
        contents = snapshot_symbols.contents(found, request.GET.dict())
        context = {**self.frame(request, f"Symbols of {found}"), "object": found, **contents}
        return TemplateResponse(request, "pipeline/snapshot_symbols.html", context)

    def symbols_download(self, request: HttpRequest, object_id: str, form: str) -> HttpResponseBase:
        """All symbols of the page's choice, as a file."""
        found = self.find(request, object_id)
        try:
            return snapshot_symbols.as_download(found, request.GET.dict(), form)
        except (VintageDamaged, OSError):
            response = self.symbols_view(request, object_id)
            response.status_code = downloads.CANNOT_BE_SERVED
            return response

    def page(self, request: HttpRequest, found: Any) -> dict[str, Any]:
        """Its inputs, the market's concentration, and a page of the venues of a scope."""
        standing = {"standing": self.standing(found)}
        return {**self.frame_of(request, found), **standing, **contents(found, request.GET.dict())}
