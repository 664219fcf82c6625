"""PagerDuty, by its Events API v2: the secret is a routing key. https://developer.pagerduty.com/docs/events-api-v2/overview/

One incident for each notice, by its key: repeats open no other, and the notice's end resolves it.
"""

from __future__ import annotations

import json
from contextlib import suppress

from django.conf import settings

from pipeline.models import Channel, Delivery, DeliveryAction, Severity
from pipeline.notices.addresses import target
from pipeline.notices.http import Answer, post
from pipeline.notices.message import Message, dedupe_key
from pipeline.notices.secrets import value_of

LONGEST_SUMMARY = 1024
SEVERITIES = {
    Severity.INFO: "info",
    Severity.WARN: "warning",
    Severity.ERROR: "error",
    Severity.CRITICAL: "critical",
}


def place(channel: Channel) -> str:
    """The host of the Events API, where there is a key."""
    value_of(channel.secret)
    return target(settings.MARKETSPINE_PAGERDUTY_URL).host


def send(channel: Channel, message: Message) -> str:
    """Trigger, update or resolve the incident of each delivery; a test is resolved at once."""
    key = value_of(channel.secret)
    said = ""
    for delivery in message.deliveries:
        if delivery.action == DeliveryAction.TEST:
            _post(key, _event(message, delivery, "trigger"))
        action = "trigger" if delivery.action in (DeliveryAction.TRIGGER, DeliveryAction.UPDATE) else "resolve"
        said = _named(_post(key, _event(message, delivery, action)))
    return said


def _post(key: str, event: dict[str, object]) -> Answer:
    return post(target(settings.MARKETSPINE_PAGERDUTY_URL), {"routing_key": key, **event}, {}, key)


def _event(message: Message, delivery: Delivery, action: str) -> dict[str, object]:
    notice = delivery.notice
    event: dict[str, object] = {"event_action": action, "dedup_key": dedupe_key(notice), "client": "Market Spine"}
    if action == "resolve":
        return event
    return {
        **event,
        **({"client_url": message.url} if message.url else {}),
        "payload": {
            "summary": message.subject[:LONGEST_SUMMARY],
            "source": settings.MARKETSPINE_INSTANCE or "marketspine",
            "severity": SEVERITIES[Severity(delivery.severity)],
            "component": notice.place,
            "class": notice.event,
            "custom_details": {"what": message.text},
        },
    }


def _named(answer: Answer) -> str:
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(answer.body)["dedup_key"])
    return ""
