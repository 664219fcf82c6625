"""The state of the outbox, for the dashboard, the metrics and `notify list`, read from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from pipeline.models import Channel, Delivery, DeliveryState, Notice

STUCK_AFTER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel: deliveries that wait, and messages so far. `sent`, `retried` and `failed` only grow."""

    name: str
    kind: str
    enabled: bool
    pending: int
    muted: int
    given_up: int
    sent: int
    retried: int
    failed: int
    last_sent_at: datetime | None
    last_error: str
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outbox:
    """All deliveries that wait. `oldest_pending_at` is when the oldest unsent one was due; None without one.

    Those that a silence or quiet hours hold are muted, those given up are failed: neither is pending.
    """

    pending: int
    muted: int
    failed: int
    oldest_pending_at: datetime | None
    channels: tuple[ChannelFacts, ...]

    def is_stuck(self, now: datetime) -> bool:
        """Whether a delivery waits for longer than a passing failure of a service would explain."""
        return self.oldest_pending_at is not None and now - self.oldest_pending_at > STUCK_AFTER


def facts(now: datetime) -> Outbox:
    """The outbox. Notices that no sweep has routed wait as well, if any channel is on."""
    channels = tuple(map(_facts, _counted()))
    enabled = Delivery.objects.filter(channel__enabled=True)
    due = enabled.filter(state=DeliveryState.PENDING, due_at__lte=now)
    oldest = [due.aggregate(oldest=Min("due_at"))["oldest"]]
    if any(channel.enabled for channel in channels):
        oldest.append(Notice.objects.unrouted().aggregate(oldest=Min("changed_at"))["oldest"])
    return Outbox(
        pending=sum(channel.pending for channel in channels),
        muted=sum(channel.muted for channel in channels),
        failed=sum(channel.given_up for channel in channels),
        oldest_pending_at=min((one for one in oldest if one), default=None),
        channels=channels,
    )


def _counted() -> list[Channel]:
    states = (DeliveryState.PENDING, DeliveryState.MUTED, DeliveryState.FAILED)
    counts = {f"n_{state.lower()}": Count("deliveries", filter=Q(deliveries__state=state)) for state in states}
    return list(Channel.objects.annotate(**counts).order_by("name"))


def _facts(channel: Channel) -> ChannelFacts:
    counts: dict[str, int] = vars(channel)
    return ChannelFacts(
        name=channel.name,
        kind=channel.kind,
        enabled=channel.enabled,
        pending=counts["n_pending"],
        muted=counts["n_muted"],
        given_up=counts["n_failed"],
        sent=channel.sent,
        retried=channel.retried,
        failed=channel.failed,
        last_sent_at=channel.last_sent_at,
        last_error=channel.last_error,
        last_error_at=channel.last_error_at,
    )
