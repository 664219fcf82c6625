"""Channels: who is told of what; testing one, and resending its failed messages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline import operations
from pipeline.admin.notices.channel_form import ChannelForm
from pipeline.admin.people.traced import Traced
from pipeline.admin.shared import figures
from pipeline.admin.shared.acting import FormAdmin, ObjectAction, one
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.lines import acts_on
from pipeline.models import Act, Channel, DeliveryState
from pipeline.notices import channels
from pipeline.notices.failures import NotAccepted
from pipeline.notices.transports import registry

SHOWN = 20
LOOKS = {
    DeliveryState.PENDING: "PENDING",
    DeliveryState.MUTED: "NOT_YET_DUE",
    DeliveryState.SENT: "DONE",
    DeliveryState.FAILED: "FAILED",
    DeliveryState.CANCELLED: "CANCELLED",
}


def delivery_badge(state: str) -> SafeString:
    """The state of a delivery, as a badge."""
    return badge(LOOKS[DeliveryState(state)], state.lower())


@admin.register(Channel)
class ChannelAdmin(Traced, FormAdmin[Channel]):
    """Channels. One with deliveries cannot be deleted: it is switched off instead."""

    form = ChannelForm
    change_form_template = "pipeline/channel.html"
    when_empty = "Nobody is told of anything yet: add a channel, then test it."
    list_display = ("name", "on", "how", "goes_to", "told_of", "waiting", "sent_last", "error")
    list_filter = ("enabled", "kind")
    list_filter_submit = True
    list_filter_sheet = False
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("name", "kind", "enabled")}),
        ("Where", {"fields": ("address", "secret", "signing_secret")}),
        ("Of what", {"fields": ("least_severity", "events", "tiers", "uses", "least_restated_rows")}),
        ("When", {"fields": ("digest", "repeat_hours", "quiet_from", "quiet_until", "zone")}),
    )
    object_actions = (
        ObjectAction(Act.TEST_CHANNEL, one(operations.test_channel), "send", tone="primary", in_list=False),
        ObjectAction(Act.RESEND, one(operations.resend), "replay", in_list=False),
    )

    class Media:
        """The stylesheets of these pages."""

        css = {"all": ("pipeline/review.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """The channels, with their numbers of waiting and failed deliveries, in one query."""
        waits = Count("deliveries", filter=Q(deliveries__state=DeliveryState.PENDING))
        given_up = Count("deliveries", filter=Q(deliveries__state=DeliveryState.FAILED))
        return super().get_queryset(request).annotate(waits=waits, given_up=given_up)

    @admin.display(description="state", ordering="enabled")
    def on(self, channel: Channel) -> SafeString:
        return badge("GOOD", "on") if channel.enabled else badge("CANCELLED", "off")

    @admin.display(description="how", ordering="kind")
    def how(self, channel: Channel) -> str:
        return channel.get_kind_display().partition(",")[0]

    @admin.display(description="goes to")
    def goes_to(self, channel: Channel) -> SafeString | str:
        """The host, without any secret; or why no message can go there."""
        try:
            return registry.place(channel)
        except NotAccepted as error:
            return format_html('<span class="rv-why">nowhere yet: {}</span>', error)

    @admin.display(description="told of")
    def told_of(self, channel: Channel) -> SafeString:
        named = ", ".join(channel.events).lower().replace("_", " ") or "everything"
        return format_html('<span class="rv-why">{}, from {} on</span>', named, channel.least_severity)

    @admin.display(description="waiting")
    def waiting(self, channel: Any) -> str:
        given_up = f", {figures.number(channel.given_up)} given up" if channel.given_up else ""
        return f"{figures.number(channel.waits)}{given_up}"

    @admin.display(description="sent last", ordering="last_sent_at")
    def sent_last(self, channel: Channel) -> str:
        return f"{channel.last_sent_at:%Y-%m-%d %H:%M} UTC" if channel.last_sent_at else "never"

    @admin.display(description="last error")
    def error(self, channel: Channel) -> SafeString | str:
        return format_html('<span class="rv-why">{}</span>', channel.last_error) if channel.last_error else "-"

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Save it as the command does."""
        channels.save(obj)

    def beside(self, channel: Channel) -> dict[str, Any]:
        """The target, and the last deliveries."""
        deliveries = channel.deliveries.select_related("notice").order_by("-pk")[:SHOWN]
        return {
            "channel": channel,
            "on": self.on(channel),
            "goes_to": self.goes_to(channel),
            "waits": self.waiting(channel),
            "last": self.sent_last(channel),
            "sent": figures.number(channel.sent),
            "deliveries": [(each, link(each.notice), delivery_badge(each.state)) for each in deliveries],
            "acts": acts_on([("channel", [channel.pk])]),
        }
