"""Channels and occurrences for tests."""

from __future__ import annotations

from typing import Any

from pipeline.models import Channel, ChannelKind, Delivery, Event, Notice, Occurrence, Severity

PLACE = "2025-11-14 OTC"


def channel(name: str = "ops", **fields: Any) -> Channel:
    """A Slack channel that is told of everything."""
    return Channel.objects.create(
        **{"name": name, "kind": ChannelKind.SLACK, "secret": "SLACK_URL", "uses": [], **fields}
    )


def late(place: str = PLACE, severity: Severity = Severity.WARN, **fields: Any) -> Occurrence:
    """A partition is late."""
    return Occurrence(event=Event.LATE, place=place, severity=severity, what="due, and not there", tier="OTC", **fields)


def open_(occurrence: Occurrence | None = None) -> Notice:
    return Notice.objects.open(occurrence or late())


def close(place: str = PLACE, why: str = "captured") -> int:
    return Notice.objects.close(Event.LATE, place, why)


def told() -> list[tuple[str, str]]:
    """What each delivery says, and what became of it, in order."""
    return [(one.action, one.state) for one in Delivery.objects.order_by("pk")]
