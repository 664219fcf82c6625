"""Prune plans: the captures that each would prune, with reasons; marking and undoing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from pipeline import operations
from pipeline.admin.keeping import plan_form
from pipeline.admin.shared import figures
from pipeline.admin.shared.acting import ActingAdmin, ObjectAction, carried_out, may, one, order_of
from pipeline.admin.shared.base import badge, link, page_url
from pipeline.admin.shared.lines import acts_on
from pipeline.keeping import plans
from pipeline.keeping.policy import Policy
from pipeline.models import Act, EntryState, PlanState, PruneEntry, PrunePlan
from pipeline.models.pruning import IN_WINDOW

PER_PAGE = 100
LOOKS = {
    PlanState.PLANNED: "PENDING",
    PlanState.MARKED: "WARN",
    PlanState.UNDONE: "CANCELLED",
    PlanState.DONE: "DONE",
    EntryState.KEEP: "GOOD",
    EntryState.PRUNE: "WARN",
    EntryState.MARKED: "WARN",
    EntryState.HELD: "SKIPPED",
    EntryState.REMOVING: "RUNNING",
    EntryState.REMOVED: "CANCELLED",
    EntryState.UNDONE: "UNCHANGED",
}

OBJECT_ACTIONS: tuple[ObjectAction[PrunePlan], ...] = (
    ObjectAction(
        Act.PRUNE_UNDO,
        one(operations.undo_pruning),
        "undo",
        needs_reason=True,
        fits=lambda plan: plan.state == PlanState.MARKED,
        explained="What is marked is taken back. What was removed already comes back from a backup only.",
        in_list=False,
        tone="primary",
    ),
)


@admin.register(PrunePlan)
class PrunePlanAdmin(ActingAdmin[PrunePlan]):
    """The plans, newest first."""

    page_template = "pipeline/prune_plan.html"
    list_before_template = "pipeline/prune_plans.html"
    when_empty = "Nothing was ever planned: every vintage is kept."
    list_display = ("number", "state_", "asks_for", "prunes", "frees", "made", "removed_after")
    list_filter = ("state",)
    ordering = ("-pk",)
    object_actions = OBJECT_ACTIONS

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_urls(self) -> list[URLPattern]:
        """The addresses of the form and of marking, before Django's own."""
        mark = path(
            "<path:object_id>/do/prune-mark/",
            self.admin_site.admin_view(self.mark),
            name="pipeline_pruneplan_prune_mark",
        )
        return [*plan_form.urls(self), mark, *super().get_urls()]

    @admin.display(description="plan", ordering="pk")
    def number(self, plan: PrunePlan) -> str:
        return str(plan)

    @admin.display(description="state", ordering="state")
    def state_(self, plan: PrunePlan) -> SafeString:
        return badge(LOOKS[PlanState(plan.state)], plan.state.lower())

    @admin.display(description="asks for")
    def asks_for(self, plan: PrunePlan) -> str:
        return Policy.read(plan.policy).sentence()

    @admin.display(description="captures", ordering="prunable")
    def prunes(self, plan: PrunePlan) -> str:
        return f"{figures.number(plan.prunable)} of {figures.number(plan.captures)}"

    @admin.display(description="frees", ordering="prunable_bytes")
    def frees(self, plan: PrunePlan) -> str:
        return figures.size(plan.prunable_bytes)

    @admin.display(description="made", ordering="made_at")
    def made(self, plan: PrunePlan) -> str:
        return f"{plan.made_at:%Y-%m-%d %H:%M} UTC by {plan.made_by}"

    @admin.display(description="removed after", ordering="remove_after")
    def removed_after(self, plan: PrunePlan) -> str:
        return f"{plan.remove_after:%Y-%m-%d %H:%M} UTC" if plan.remove_after else "-"

    def page(self, request: HttpRequest, found: PrunePlan) -> dict[str, Any]:
        """Its entries, pruned ones first, and the form that marks it, if it can be marked."""
        return {
            **self.frame_of(request, found),
            "state": self.state_(found),
            "asks_for": self.asks_for(found),
            "frees": self.frees(found),
            "entries": _page_of(found, request.GET.get("page")),
            "mark_url": _mark_url(found) if _can_be_marked(found) and may(request, Act.PRUNE_MARK) else "",
            "large": plans.large_because(found) if _can_be_marked(found) else "",
            "removed": found.entries.filter(state=EntryState.REMOVED).count(),
            "marked": found.entries.filter(state__in=IN_WINDOW).count(),
            "acts": acts_on([("pruneplan", [found.pk])]),
        }

    def mark(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mark a plan's captures, with the reason and the number in the form."""
        if not may(request, Act.PRUNE_MARK):
            raise PermissionDenied
        found = self.find(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        order, unbacked = order_of(request), request.POST.get("unbacked", "").replace("\0", "")
        count = request.POST.get("count", "").strip()
        number = int(count) if count.isascii() and count.isdecimal() and len(count) < len(str(2**31)) else None
        return carried_out(
            request,
            lambda: operations.mark_pruned(found, order, count=number, unbacked_reason=unbacked),
            page_url(found),
        )


def _can_be_marked(plan: PrunePlan) -> bool:
    return plan.state == PlanState.PLANNED and plan.prunable > 0


def _mark_url(plan: PrunePlan) -> str:
    return reverse("admin:pipeline_pruneplan_prune_mark", args=[plan.pk])


def _page_of(plan: PrunePlan, page: str | None) -> Any:
    kept_last = Case(When(state=EntryState.KEEP, then=Value(1)), default=Value(0), output_field=IntegerField())
    entries = plan.entries.select_related("capture__partition").order_by(
        kept_last, "-capture__partition__week_ending", "capture__partition__tier", "capture__version"
    )
    shown: Any = Paginator(entries, PER_PAGE).get_page(page)
    shown.object_list = [(entry, link(entry.capture), _badge(entry)) for entry in shown.object_list]
    return shown


def _badge(entry: PruneEntry) -> SafeString:
    return badge(LOOKS[EntryState(entry.state)], EntryState(entry.state).label)
