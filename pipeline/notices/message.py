"""A message: one or more deliveries in words that stay the same, so that mail clients and people find it again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from pipeline.finra.plain_text import printable, shortened
from pipeline.models import Channel, Delivery, DeliveryAction, Digest, Notice, Severity

LONGEST_SUBJECT = 120
LONGEST_TEXT = 600  # of one notice: a message is no log
LISTED = 10
RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel, of one delivery or of several. `uid` stays the same when it is sent again."""

    uid: str
    subject: str
    text: str
    url: str
    severity: Severity
    deliveries: tuple[Delivery, ...]

    @property
    def only(self) -> Delivery | None:
        """Its only delivery; None where it has several."""
        return self.deliveries[0] if len(self.deliveries) == 1 else None


def message_of(channel: Channel, deliveries: Sequence[Delivery], now: datetime) -> Message:
    """The message of these deliveries: one in full, several as a summary."""
    if len(deliveries) == 1 and channel.digest == Digest.EACH:
        return _single(deliveries[0])
    return _summary(channel, deliveries, now)


def prefix() -> str:
    """The sender, at the beginning of each subject: "[Market Spine prod]"."""
    return f"[Market Spine {settings.MARKETSPINE_INSTANCE}]" if settings.MARKETSPINE_INSTANCE else "[Market Spine]"


def dedupe_key(notice: Notice) -> str:
    """The key by which services know messages about the same notice: at most 255 characters."""
    key = f"{settings.MARKETSPINE_INSTANCE or 'marketspine'}:{notice.key}"
    return key if len(key) <= 255 else f"{key[:200]}:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def headline(delivery: Delivery) -> str:
    """Severity, event and place in one line: "ERROR Late: 2026-10-30 OTC"."""
    notice = delivery.notice
    how = RESOLVED if delivery.action == DeliveryAction.RESOLVE else delivery.severity
    return printable(f"{how} {notice.event_name}: {notice.place}")


def page_of(notice: Notice | None = None) -> str:
    """The address of a notice's page, or of their list; empty where the admin's public address is not set."""
    if not settings.MARKETSPINE_URL:
        return ""
    path = (
        reverse("admin:pipeline_notice_change", args=[notice.pk])
        if notice
        else reverse("admin:pipeline_notice_changelist")
    )
    return settings.MARKETSPINE_URL.rstrip("/") + path


def _single(delivery: Delivery) -> Message:
    notice = delivery.notice
    lines = [_told(delivery)]
    if delivery.action != DeliveryAction.RESOLVE and notice.advice:
        lines.append(printable(notice.advice))
    if notice.count > 1:
        lines.append(f"Seen {notice.count} times since {notice.opened_at:%Y-%m-%d %H:%M} UTC.")
    url = page_of(notice)
    return Message(
        uid=str(delivery.uid),
        subject=shortened(f"{prefix()} {headline(delivery)}", LONGEST_SUBJECT),
        text="\n".join([*lines, *([url] if url else [])]),
        url=url,
        severity=Severity(delivery.severity),
        deliveries=(delivery,),
    )


def _told(delivery: Delivery) -> str:
    notice = delivery.notice
    told = notice.closed_why if delivery.action == DeliveryAction.RESOLVE else notice.what
    return shortened(printable(told), LONGEST_TEXT)


def _summary(channel: Channel, deliveries: Sequence[Delivery], now: datetime) -> Message:
    """A summary: how many of each severity, the ten gravest by name, and the address of the list."""
    ranks = {severity: rank for rank, severity in enumerate(reversed(Severity.values))}
    ordered = sorted(deliveries, key=lambda one: (one.action == DeliveryAction.RESOLVE, ranks[one.severity]))
    lines = [f"{headline(one)}: {shortened(_told(one), 160)}" for one in ordered[:LISTED]]
    if len(ordered) > LISTED:
        lines.append(f"And {len(ordered) - LISTED} more.")
    what = "Summary" if channel.digest == Digest.EACH else f"Digest {now:%Y-%m-%d}"
    url = page_of()
    return Message(
        uid=hashlib.sha256("".join(sorted(str(one.uid) for one in deliveries)).encode()).hexdigest(),
        subject=shortened(f"{prefix()} {what}: {_counted(ordered)}", LONGEST_SUBJECT),
        text="\n".join([*lines, *([url] if url else [])]),
        url=url,
        severity=Severity(ordered[0].severity),
        deliveries=tuple(ordered),
    )


def _counted(deliveries: Sequence[Delivery]) -> str:
    """ "2 error, 1 info, 3 resolved"."""
    words = Counter(
        RESOLVED.lower() if one.action == DeliveryAction.RESOLVE else one.severity.lower() for one in deliveries
    )
    return ", ".join(f"{number} {word}" for word, number in words.items())
