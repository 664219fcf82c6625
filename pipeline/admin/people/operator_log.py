"""The operator log: each act of a person, its subjects, reason and outcome."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from pipeline.admin.shared.base import DayFilter, EvidenceAdmin, badge, link
from pipeline.models import OperatorLogEntry, OperatorLogSubject

NAMED_IN_LIST = 3
NAMED_ON_PAGE = 500


@admin.register(OperatorLogEntry)
class OperatorLogAdmin(EvidenceAdmin[OperatorLogEntry]):
    """The acts of people, newest first. No entry is ever changed or removed."""

    page_template = "pipeline/operator_log_entry.html"
    when_empty = (
        "Nobody has acted yet. Each button that starts, forces, resolves or pins something is written down here, and each "
        "change of schedules, users and roles."
    )
    list_display = ("at_", "who", "what", "on", "why", "outcome_badge", "by_run")
    list_select_related = ("run",)
    list_filter = (
        ("act", ChoicesDropdownFilter),
        "outcome",
        ("at", DayFilter),
        ("operator", admin.AllValuesFieldListFilter),
    )
    search_fields = ("operator", "reason", "sentence", "subjects__label")
    search_help_text = "Who; words of the reason or of what came of it; what it was done on"

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[OperatorLogEntry]:
        """The entries, with their subjects in one query for all."""
        return super().get_queryset(request).prefetch_related("subjects")

    @admin.display(description="when", ordering="pk")
    def at_(self, entry: OperatorLogEntry) -> str:
        return f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"

    @admin.display(description="who", ordering="operator")
    def who(self, entry: OperatorLogEntry) -> SafeString | str:
        """The name at the time, and the account's number: two accounts may have had one name, one after the other."""
        if entry.account is None:
            return entry.operator
        return format_html('{} <span class="ms-quiet">account {}</span>', entry.operator, entry.account)

    @admin.display(description="did", ordering="act")
    def what(self, entry: OperatorLogEntry) -> str:
        return entry.get_act_display()

    @admin.display(description="on")
    def on(self, entry: OperatorLogEntry) -> SafeString | str:
        subjects = list(entry.subjects.all())
        text = ", ".join(subject.label for subject in subjects[:NAMED_IN_LIST])
        more = len(subjects) - NAMED_IN_LIST
        return format_html('<span class="rv-why">{}{}</span>', text or "-", f" and {more} more" if more > 0 else "")

    @admin.display(description="why")
    def why(self, entry: OperatorLogEntry) -> SafeString | str:
        return format_html('<span class="rv-why">{}</span>', entry.reason) if entry.reason else "-"

    @admin.display(description="outcome", ordering="outcome")
    def outcome_badge(self, entry: OperatorLogEntry) -> SafeString:
        return badge(entry.outcome)

    @admin.display(description="run")
    def by_run(self, entry: OperatorLogEntry) -> SafeString | str:
        return link(entry.run, f"run {entry.run_id}")

    def page(self, request: HttpRequest, found: OperatorLogEntry) -> dict[str, Any]:
        """The act, its subjects, and the sentence that the person read."""
        subjects = list(found.subjects.all()[: NAMED_ON_PAGE + 1])
        return {
            "outcome": badge(found.outcome),
            "outcome_label": found.get_outcome_display(),
            "run": link(found.run),
            "account": _account(found),
            "subjects": [subject_link(subject) for subject in subjects[:NAMED_ON_PAGE]],
            "more": len(subjects) > NAMED_ON_PAGE,
        }


def _account(entry: OperatorLogEntry) -> str:
    """The account that acted, and its present name."""
    if entry.account is None:
        return "none: by a command"
    now = User.objects.filter(pk=entry.account).values_list("username", flat=True).first()
    if now is None:
        return f"{entry.account}, which has been deleted"
    return f"{entry.account}" if now == entry.operator else f"{entry.account}, which is named {now} now"


def subject_link(subject: OperatorLogSubject) -> SafeString | str:
    """A subject of the act, under its name at the time, as a link to its page."""
    apps = {model._meta.model_name: model._meta.app_label for model in admin.site._registry}
    if subject.kind not in apps:
        return subject.label
    url = reverse(f"admin:{apps[subject.kind]}_{subject.kind}_change", args=[subject.key])
    return format_html('<a class="ms-link" href="{}">{}</a>', url, subject.label)
