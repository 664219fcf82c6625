"""A person tests a channel, or resends its failed messages: through the same outbox and the same code."""

from __future__ import annotations

import time
import uuid

from django.db import transaction
from django.utils import timezone

from pipeline.models import Channel, Delivery, DeliveryAction, DeliveryState, Event, Notice, Occurrence, Severity
from pipeline.notices.sending import Sent, send_channel

PATIENCE_SECONDS, LOOK_SECONDS = 10.0, 0.2
BUSY = "another process sends to this channel just now: try again in a minute"


def try_channel(channel: Channel, by: str) -> Sent:
    """Send a test notice to a channel, once, past its filters, silences and quiet hours; the result."""
    delivery = _test(channel, by)
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        if done := send_channel(channel.pk, delivery):
            return done[0]
        if time.monotonic() > until:
            Delivery.objects.filter(pk=delivery.pk).cancel(BUSY)
            return Sent(channel.name, "", DeliveryState.CANCELLED, BUSY, 0.0)
        time.sleep(LOOK_SECONDS)


@transaction.atomic
def _test(channel: Channel, by: str) -> Delivery:
    now = timezone.now()
    (notice,) = Notice.objects.tell(
        Occurrence(
            event=Event.TEST,
            place=channel.name,
            severity=Severity.INFO,
            what=f"{by} tries the channel {channel.name}. Nothing has happened.",
            mark=str(uuid.uuid4()),
        )
    )
    Notice.objects.filter(pk=notice.pk).update(routed=notice.revision)
    return Delivery.objects.create(
        notice=notice,
        channel=channel,
        action=DeliveryAction.TEST,
        sequence=0,
        severity=notice.severity,
        created_at=now,
        due_at=now,
        next_at=now,
    )


@transaction.atomic
def resend(channel: Channel) -> int:
    """Send a channel's failed deliveries again, less those whose event is over; how many."""
    now = timezone.now()
    failed = channel.deliveries.filter(state=DeliveryState.FAILED).exclude(action=DeliveryAction.TEST)
    over = [one.pk for one in failed.select_related("notice") if one.notice.is_over]
    failed.filter(pk__in=over).exclude(action=DeliveryAction.RESOLVE).update(state=DeliveryState.CANCELLED)
    again = channel.deliveries.filter(state=DeliveryState.FAILED).exclude(action=DeliveryAction.TEST)
    return again.update(state=DeliveryState.PENDING, attempts=0, next_at=now, due_at=now)
