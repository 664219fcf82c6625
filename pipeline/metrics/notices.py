"""Telling people: deliveries that wait in the outbox, and when each channel last took a message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pipeline.metrics.samples import Sample, instant, sample
from pipeline.notices import outbox


def read(now: datetime) -> Iterator[Sample]:
    """The outbox, from the facts that also make the dashboard's alarm."""
    facts = outbox.facts(now)
    for state, number in (("pending", facts.pending), ("muted", facts.muted), ("failed", facts.failed)):
        yield sample("notifications", number, state=state)
    yield from instant("notification_oldest_pending_timestamp_seconds", facts.oldest_pending_at)
    for channel in facts.channels:
        yield from instant("notification_last_success_timestamp_seconds", channel.last_sent_at, channel=channel.name)
