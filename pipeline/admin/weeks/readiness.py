"""Readiness: the verdict per week and use, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateFilter

from pipeline import operations
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction
from pipeline.admin.shared.base import badge, page_url
from pipeline.admin.shared.market_links import week_link
from pipeline.admin.shared.offered import OfferedList
from pipeline.admin.shared.searching import of_choices, words
from pipeline.admin.weeks.readiness_page import contents
from pipeline.finra.calendar import read_day
from pipeline.models import Act, OperatorLogEntry, Readiness, ReadinessState, Use
from pipeline.operations import Order

# The list shows the reasons of this use's verdict: it is the strictest, and has all reasons of the others.
STRICTEST = Use.COMPLIANCE
USE_PARAMETER = "use__exact"
SHOWN_REASONS = 2


def recompute(chosen: list[Readiness], order: Order) -> OperatorLogEntry:
    """Compute the weeks again from the newest captures."""
    return operations.recompute({one.week_ending for one in chosen}, order, chosen)


OBJECT_ACTIONS: tuple[ObjectAction[Readiness], ...] = (
    ObjectAction(Act.REEVALUATE, operations.reevaluate, "rule", tone="primary"),
    ObjectAction(Act.RECOMPUTE, recompute, "calculate"),
)


class WeekList(OfferedList):
    """A line for each week: the verdict for the filtered use, else the strictest, with those for all uses."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Readiness]:
        found: QuerySet[Readiness] = super().get_queryset(request, exclude_parameters)
        return found if request.GET.get(USE_PARAMETER) in Use.values else found.filter(use=STRICTEST)

    def get_results(self, request: HttpRequest) -> None:
        """The weeks of the page, with `verdicts` by use, in one query."""
        super().get_results(request)
        lines: list[Any] = list(self.result_list)
        verdicts: dict[Any, dict[str, Readiness]] = {}
        for one in Readiness.objects.filter(week_ending__in=[line.week_ending for line in lines]):
            verdicts.setdefault(one.week_ending, {})[one.use] = one
        for line in lines:
            line.verdicts = verdicts.get(line.week_ending, {})
        self.result_list = lines


class ReadinessStateFilter(admin.SimpleListFilter):
    """Filters by the verdict: for the filtered use, else for any."""

    title = "state"
    parameter_name = "state__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(state.value, state.value.replace("_", " ").lower()) for state in ReadinessState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Readiness]) -> QuerySet[Readiness]:
        if not self.value():
            return queryset
        if request.GET.get(USE_PARAMETER) in Use.values:
            return queryset.filter(state=self.value())
        return queryset.filter(
            Exists(Readiness.objects.filter(week_ending=OuterRef("week_ending"), state=self.value()))
        )


@admin.register(Readiness)
class ReadinessAdmin(ActingAdmin[Readiness]):
    """The weeks with their readiness for each use, newest first."""

    page_template = "pipeline/readiness.html"
    when_empty = "No week has been judged yet: a run judges each week that it closes."
    list_display = ("week", "trading", "compliance", "research", "why", "decided")
    list_display_links = None  # each verdict leads to its own page
    list_filter = ("use", ReadinessStateFilter, ("week_ending", RangeDateFilter))
    search_fields = ("week_ending", "state")  # shows the field; `get_search_results` searches
    search_help_text = "A week, a verdict for any use: 2025-11-14, blocked, ready"
    object_actions = OBJECT_ACTIONS

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OfferedList]:
        """A line for each week."""
        return WeekList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Readiness], search_term: str
    ) -> tuple[QuerySet[Readiness], bool]:
        """Search by the week, and by the verdict for any use."""
        for word in words(search_term):
            verdicts = Readiness.objects.filter(_says(word)).values("week_ending")
            queryset = queryset.filter(week_ending__in=verdicts)
        return queryset, False

    @admin.display(description="week ending", ordering="week_ending")
    def week(self, verdict: Readiness) -> SafeString | str:
        return week_link(verdict.week_ending)

    @admin.display(description="trading")
    def trading(self, verdict: Any) -> SafeString | str:
        return _state(verdict, Use.TRADING)

    @admin.display(description="compliance")
    def compliance(self, verdict: Any) -> SafeString | str:
        return _state(verdict, Use.COMPLIANCE)

    @admin.display(description="research")
    def research(self, verdict: Any) -> SafeString | str:
        return _state(verdict, Use.RESEARCH)

    @admin.display(description="what stands in the way")
    def why(self, verdict: Readiness) -> SafeString | str:
        """The first reasons, and how many more there are."""
        shown = [reason.removeprefix(f"{verdict.week_ending} ") for reason in verdict.reasons[:SHOWN_REASONS]]
        more = len(verdict.reasons) - SHOWN_REASONS
        text = "; ".join([*shown, f"and {more} more"] if more > 0 else shown)
        return format_html('<span class="rv-message">{}</span>', text) if text else "-"

    @admin.display(description="judged", ordering="decided_at")
    def decided(self, verdict: Readiness) -> str:
        return f"{verdict.decided_at:%Y-%m-%d}"

    def page(self, request: HttpRequest, found: Readiness) -> dict[str, Any]:
        """The reasons with links to their subjects, and the week's partitions and open anomalies."""
        return {**self.frame_of(request, found), "state": badge(found.state), **contents(found)}


def _says(word: str) -> Q:
    week = read_day(word)
    states = [(state.value, state.value) for state in ReadinessState]
    return (Q(week_ending=week) if week else Q(pk__in=())) | of_choices("state", states, word)


def _state(line: Any, use: Use) -> SafeString | str:
    """The verdict for a use, as a link to its page."""
    found = line.verdicts.get(use)
    return format_html('<a class="rv-plain" href="{}">{}</a>', page_url(found), badge(found.state)) if found else "-"
