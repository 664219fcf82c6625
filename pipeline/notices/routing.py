"""Routing: from changed notices to deliveries for the channels that want them; once, however many processes route."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from pipeline.models import Channel, ChannelKind, Delivery, DeliveryAction, DeliveryState, Notice, Severity
from pipeline.models.delivery import UNSENT

AT_ONCE = 500
OVER = "it was over before anybody was told"
DISABLED = "the channel is switched off"


def route(now: datetime) -> int:
    """Write the deliveries of changed notices, and repeat those of critical ones that go on; how many had changed.

    A notice that changes meanwhile has another revision, and is routed again.
    """
    Delivery.objects.filter(channel__enabled=False).drop_pending(DISABLED)
    channels = list(Channel.objects.filter(enabled=True))
    changed = list(Notice.objects.unrouted()[:AT_ONCE])
    for notice in changed:
        with transaction.atomic():
            _route(notice, channels, now)
            Notice.objects.filter(pk=notice.pk, routed__lt=notice.revision).update(routed=notice.revision)
    _repeat(channels, now)
    return len(changed)


def _route(notice: Notice, channels: Iterable[Channel], now: datetime) -> None:
    told: dict[int, list[Delivery]] = {}
    for delivery in notice.deliveries.exclude(state=DeliveryState.CANCELLED).order_by("pk"):
        told.setdefault(delivery.channel_id, []).append(delivery)
    for channel in channels:
        _tell(notice, channel, told.get(channel.pk, []), now)


def _tell(notice: Notice, channel: Channel, told: list[Delivery], now: datetime) -> None:
    """Add the delivery that one channel still lacks, if any."""
    if not told:
        if not notice.is_over and channel.wants(notice):
            _add(notice, channel, DeliveryAction.TRIGGER, now)
    elif notice.is_over:
        _end(notice, channel, told, now)
    elif Severity.is_graver(notice.severity, told[-1].severity):
        _add(notice, channel, DeliveryAction.UPDATE, now)
    else:
        untried = Delivery.objects.filter(pk=told[0].pk, state=DeliveryState.PENDING, attempts=0)
        untried.filter(next_at__gt=channel.due_at(now)).update(next_at=channel.due_at(now), due_at=channel.due_at(now))


def _end(notice: Notice, channel: Channel, told: list[Delivery], now: datetime) -> None:
    """Say that it is over, if its beginning was sent or may have arrived; cancel deliveries that were never tried."""
    own = Delivery.objects.filter(notice=notice, channel=channel).exclude(action=DeliveryAction.RESOLVE)
    own.cancel(OVER)
    arrived = own.filter(Q(state=DeliveryState.SENT) | Q(state__in=UNSENT, attempts__gt=0)).exists()
    if arrived and not any(one.action == DeliveryAction.RESOLVE for one in told):
        _add(notice, channel, DeliveryAction.RESOLVE, now)


def _add(notice: Notice, channel: Channel, action: DeliveryAction, now: datetime) -> None:
    """Add a delivery. Of two processes that find the same, one writes it."""
    sequence = Delivery.objects.filter(notice=notice, channel=channel, action=action).count()
    due = channel.due_at(now)
    Delivery.objects.bulk_create(
        [
            Delivery(
                notice=notice,
                channel=channel,
                action=action,
                sequence=sequence,
                severity=notice.severity,
                created_at=now,
                due_at=due,
                next_at=due,
            )
        ],
        ignore_conflicts=True,
    )


def _repeat(channels: Collection[Channel], now: datetime) -> None:
    """Repeat critical notices that go on. PagerDuty repeats them itself."""
    for channel in channels:
        if not channel.repeat_hours or channel.kind == ChannelKind.PAGERDUTY:
            continue
        before = now - timedelta(hours=channel.repeat_hours)
        of_channel = Delivery.objects.filter(channel=channel, notice__in=Notice.objects.unclosed())
        critical = of_channel.filter(notice__severity=Severity.CRITICAL)
        waiting = critical.filter(state__in=UNSENT).values("notice")
        newest = critical.exclude(notice__in=waiting).values("notice").annotate(newest=Max("sent_at")).order_by()
        for notice in Notice.objects.filter(pk__in=newest.filter(newest__lte=before).values("notice")):
            _add(notice, channel, DeliveryAction.UPDATE, now)
