"""Deliveries that are held: by a silence, or by a channel's quiet hours, which hold all but the critical ones.

Their notices are written as ever. Afterwards those still open are sent; news that a silence held is not sent at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pipeline.models import Channel, Delivery, DeliveryAction, DeliveryState, Severity, Silence

SILENCED = "it was over when the silence ended"


def hold(channel: Channel, deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Those of the deliveries that may be sent now; the others are MUTED."""
    silences = list(Silence.objects.in_force(now))
    free = []
    for delivery in deliveries:
        silence = _silence(delivery, silences)
        if silence is None and not _is_quiet(channel, delivery, now):
            free.append(delivery)
        else:
            waiting = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING)
            waiting.update(state=DeliveryState.MUTED, muted_by=silence)
    return free


def release(now: datetime) -> int:
    """Send the held deliveries that nothing holds any more, less those that are over; how many will be sent."""
    silences = list(Silence.objects.in_force(now))
    muted = Delivery.objects.filter(state=DeliveryState.MUTED).select_related("notice", "channel", "muted_by")
    released = 0
    for delivery in muted:
        silence = _silence(delivery, silences)
        if silence is None and not _is_quiet(delivery.channel, delivery, now):
            released += _let_go(delivery, now)
    return released


def _let_go(delivery: Delivery, now: datetime) -> int:
    """Send it with the channel's next messages. News that a silence held is old by then, and cancelled."""
    waiting = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.MUTED)
    if delivery.notice.is_momentary and delivery.muted_by is not None:
        waiting.update(state=DeliveryState.CANCELLED, last_error=SILENCED, muted_by=None)
        return 0
    due = delivery.channel.due_at(now)
    return waiting.update(state=DeliveryState.PENDING, muted_by=None, due_at=due, next_at=due)


def _silence(delivery: Delivery, silences: Sequence[Silence]) -> Silence | None:
    """The silence that holds it; None for a test, which is always sent."""
    if delivery.action == DeliveryAction.TEST:
        return None
    return next((silence for silence in silences if silence.matches(delivery.notice)), None)


def _is_quiet(channel: Channel, delivery: Delivery, now: datetime) -> bool:
    """Whether quiet hours hold it. They hold no critical delivery, and no test."""
    is_urgent = delivery.severity == Severity.CRITICAL or delivery.action == DeliveryAction.TEST
    return not is_urgent and channel.is_quiet(now)
