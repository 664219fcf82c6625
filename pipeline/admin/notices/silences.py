"""Silences: making one, and ending it before its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline import operations
from pipeline.admin.notices.channels import delivery_badge
from pipeline.admin.shared import figures
from pipeline.admin.shared.acting import LONGEST_REASON, ActingAdmin, ObjectAction, carried_out, may, one, order_of
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.days import DayField
from pipeline.admin.shared.lines import acts_on
from pipeline.finra.calendar import Tier
from pipeline.models import Act, Category, Event, Silence
from pipeline.models.silence import LONGEST
from pipeline.operations import Matcher

NAME = "pipeline_silence_new"
SHOWN = 100
ANY = [("", "any")]
MOST_HOURS = int(LONGEST / timedelta(hours=1))


class SilenceForm(forms.Form):
    """The matcher, the end, and the reason."""

    event = forms.ChoiceField(required=False, choices=[*ANY, *Event.choices])
    tier = forms.ChoiceField(required=False, choices=[*ANY, *((tier.value, tier.value) for tier in Tier)])
    week_ending = DayField(required=False, label="Week ending", help_text="empty: any")
    category = forms.ChoiceField(required=False, choices=[*ANY, *Category.choices], help_text="of anomalies")
    hours = forms.IntegerField(min_value=1, max_value=MOST_HOURS, initial=2, help_text=f"1 to {MOST_HOURS}")
    reason = forms.CharField(max_length=LONGEST_REASON, strip=True, help_text="required, kept with the silence")

    def matcher(self) -> Matcher:
        """The matcher of the fields."""
        asked = self.cleaned_data
        return Matcher(
            event=asked["event"], tier=asked["tier"], week_ending=asked["week_ending"], category=asked["category"]
        )


@admin.register(Silence)
class SilenceAdmin(ActingAdmin[Silence]):
    """Silences. One is made on a page of its own, and ended, but never changed."""

    page_template = "pipeline/silence.html"
    when_empty = "Nothing is silenced, and never was."
    list_before_template = "pipeline/silence_new_link.html"
    list_display = ("about", "state", "ends", "who", "reason")
    list_filter = ("event", "tier")
    object_actions = (
        ObjectAction(Act.END_SILENCE, one(operations.end_silence), "notifications_active", in_list=False),
    )

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_urls(self) -> list[URLPattern]:
        """The form's address, before Django's own."""
        return [path("new/", self.admin_site.admin_view(self.new), name=NAME), *super().get_urls()]

    def new(self, request: HttpRequest) -> HttpResponse:
        """The form; when it is sent, make the silence."""
        if not may(request, Act.SILENCE):
            raise PermissionDenied
        form = SilenceForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            until = timezone.now() + timedelta(hours=form.cleaned_data["hours"])
            back = reverse("admin:pipeline_silence_changelist")
            return carried_out(request, lambda: operations.silence(form.matcher(), until, order_of(request)), back)
        context = {**self.frame(request, "Silence notices"), "form": form, "token": operations.new_token()}
        return TemplateResponse(request, "pipeline/silence_new.html", context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with a link to the form for users who may make one."""
        new = {"new_url": reverse(f"admin:{NAME}") if may(request, Act.SILENCE) else ""}
        return super().changelist_view(request, {**(extra_context or {}), **new})

    @admin.display(description="about")
    def about(self, silence: Silence) -> str:
        return silence.matches_what

    @admin.display(description="state", ordering="until")
    def state(self, silence: Silence) -> SafeString:
        return standing(silence)

    @admin.display(description="until", ordering="until")
    def ends(self, silence: Silence) -> str:
        return f"{silence.until:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="who", ordering="by")
    def who(self, silence: Silence) -> str:
        return silence.by

    @admin.display(description="why")
    def reason(self, silence: Silence) -> SafeString:
        return format_html('<span class="rv-why">{}</span>', silence.why)

    def buttons(self, request: HttpRequest, found: Silence) -> Any:
        """The buttons; a silence that has ended has none."""
        return super().buttons(request, found) if is_in_force(found) else iter(())

    def page(self, request: HttpRequest, found: Silence) -> dict[str, Any]:
        """The deliveries that it holds now."""
        held = found.held.select_related("notice", "channel").order_by("-pk")
        return {
            **self.frame_of(request, found),
            "standing": standing(found),
            "held": [(link(each.notice), link(each.channel), delivery_badge(each.state)) for each in held[:SHOWN]],
            "holds": figures.number(held.count()),
            "acts": acts_on([("silence", [found.pk])]),
        }


def is_in_force(silence: Silence) -> bool:
    """Whether it holds now."""
    return silence.ended_at is None and silence.until > timezone.now()


def standing(silence: Silence) -> SafeString:
    """In force, or how it ended."""
    if silence.ended_at is not None:
        return badge("CANCELLED", f"ended by {silence.ended_by}")
    return badge("PROVISIONAL", "in force") if is_in_force(silence) else badge("DONE", "over")
