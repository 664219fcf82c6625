"""The form of a backfill: it shows the plan first, and starts exactly that plan or none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from pipeline import operations
from pipeline.admin.shared.acting import LONGEST_REASON, carried_out, may, order_of
from pipeline.admin.shared.base import badge
from pipeline.admin.shared.days import WeekField
from pipeline.finra.calendar import MOST_WEEKS, CalendarError, Tier, fully_due_weeks, market_today, weeks_between
from pipeline.finra.sources.base import SourceError
from pipeline.models import Act, Run, Trigger
from pipeline.operations import Order, Refused
from pipeline.runs.estimate import estimate
from pipeline.runs.history import PASSED_OVER
from pipeline.runs.plan import Plan, Step, make_plan, plan_with
from pipeline.runs.request import Only, Request
from pipeline.runs.sources import origin_of, source_of

NAME = "pipeline_backfill"
PREVIEW_SECONDS = 10  # a person waits for the page


class RangeForm(forms.Form):
    """The weeks, the partitions of them, and the reason."""

    first = WeekField(label="From week ending", help_text="a Friday")
    last = WeekField(label="To week ending", help_text="a Friday")
    tiers = forms.MultipleChoiceField(
        choices=[(tier.value, tier.value) for tier in Tier],
        initial=[tier.value for tier in Tier],
        widget=forms.CheckboxSelectMultiple,
    )
    only = forms.ChoiceField(
        label="Partitions",
        choices=[
            (Only.ALL.value, "all: look for restatements, too"),
            (Only.MISSING.value, "only those never captured"),
            (Only.FAILED.value, "only those whose last try went wrong"),
        ],
        initial=Only.ALL.value,
    )
    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON, label="Reason", help_text="optional, kept with every capture made"
    )

    def clean(self) -> dict[str, Any]:
        """The fields, with the weeks of the range; refused for a range backwards or of more than ten years."""
        cleaned = super().clean() or {}
        if "first" in cleaned and "last" in cleaned:
            try:
                cleaned["weeks"] = weeks_between(cleaned["first"], cleaned["last"])
            except CalendarError as error:
                raise forms.ValidationError(str(error)) from error
            if len(cleaned["weeks"]) > MOST_WEEKS:
                raise forms.ValidationError(
                    f"{len(cleaned['weeks'])} weeks are more than {MOST_WEEKS}: backfill in parts"
                )
        return cleaned

    def request(self, requested_by: str) -> Request:
        """The request, as `manage.py backfill` would make it."""
        asked = self.cleaned_data
        return Request(
            command="backfill",
            run_date=market_today(),
            tiers=tuple(Tier(tier) for tier in asked["tiers"]),
            weeks=asked["weeks"],
            only=Only(asked["only"]),
            source=settings.MARKETSPINE_SOURCE,
            origin=origin_of(settings.MARKETSPINE_SOURCE),
            reason=asked["reason"],
            requested_by=requested_by,
            trigger=Trigger.ADMIN,
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan as the page shows it, with its digest."""

    plan: Plan
    unasked: str

    @property
    def digest(self) -> str:
        """The identity of the plan's steps."""
        steps = "|".join(f"{step.key}:{step.action}" for step in self.plan.steps)
        return hashlib.sha256(steps.encode()).hexdigest()

    @property
    def working(self) -> int:
        """How many partitions a run would work on."""
        return sum(step.action not in PASSED_OVER for step in self.plan.steps)

    @property
    def rows(self) -> list[tuple[Step, SafeString]]:
        """Each step with its action."""
        return [(step, badge(step.action)) for step in self.plan.steps]


def urls(admin: ModelAdmin[Run]) -> list[URLPattern]:
    """The form's address, among those of the runs."""

    def view(request: HttpRequest) -> HttpResponse:
        return backfill(request, admin)

    return [path("backfill/", admin.admin_site.admin_view(view), name=NAME)]


def backfill(request: HttpRequest, admin: ModelAdmin[Run]) -> HttpResponse:
    """The form; with a range in the address, the plan for it; when that is posted back, its run."""
    if not may(request, Act.BACKFILL):
        raise PermissionDenied
    asked = request.POST if request.method == "POST" else request.GET
    form = RangeForm(asked if asked else None, initial=_last_weeks())
    shown = _shown(form.request(request.user.get_username())) if asked and form.is_valid() else None
    if request.method == "POST" and shown is not None:
        order = order_of(request)
        if request.POST.get("digest") == shown.digest or _was_given(order):
            return carried_out(request, lambda: operations.backfill(shown.plan, order))
        messages.warning(request, "The plan has changed since it was shown. This is the plan now: nothing was started.")
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Backfill a range",
        "form": form,
        "shown": shown,
        "estimated": estimate(shown.plan) if shown else None,
        "token": operations.new_token(),
    }
    return TemplateResponse(request, "pipeline/backfill.html", context)


def _was_given(order: Order) -> bool:
    """Whether this form has started its run already, by a double click."""
    try:
        return operations.given_before(Act.BACKFILL, order) is not None
    except Refused:
        return False


def _last_weeks() -> dict[str, str]:
    weeks = fully_due_weeks(settings.MARKETSPINE_LOOKBACK_WEEKS, market_today())
    return {"first": weeks[-1].isoformat(), "last": weeks[0].isoformat()}


def _shown(request: Request) -> Shown:
    """The plan, after asking the source; where it does not answer in time, the plan without, and the reason."""
    try:
        return Shown(plan_with(request, source_of(request, PREVIEW_SECONDS), skip_in_flight=True), "")
    except SourceError as error:
        return Shown(make_plan(request, skip_in_flight=True), str(error))
