"""A web address of your own: JSON of a version, signed where a key is named. docs/notifications.md has the fields."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

from django.conf import settings

from pipeline.models import Channel, Delivery
from pipeline.notices.addresses import target
from pipeline.notices.http import post_bytes
from pipeline.notices.message import Message, dedupe_key
from pipeline.notices.secrets import value_of

VERSION = 1


def place(channel: Channel) -> str:
    """The host of the address; Lasting where messages are to be signed and no key is set."""
    if channel.signing_secret:
        value_of(channel.signing_secret)
    return target(value_of(channel.secret)).host


def send(channel: Channel, message: Message) -> str:
    """Post the message. A receiver knows a second copy by its Idempotency-Key."""
    address = value_of(channel.secret)
    body = json.dumps(document(message)).encode()
    hidden = [address]
    headers = {"Idempotency-Key": message.uid}
    if channel.signing_secret:
        key, at = value_of(channel.signing_secret), str(int(time.time()))
        hidden.append(key)
        headers |= {"MarketSpine-Timestamp": at, "MarketSpine-Signature": f"v1={signature(key, at, body)}"}
    post_bytes(target(address), body, headers, *hidden)
    return ""


def signature(key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot and the body, in hexadecimal digits."""
    return hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def document(message: Message) -> dict[str, object]:
    """The message as JSON: what a person reads, and each notice for a program."""
    return {
        "version": VERSION,
        "id": message.uid,
        "instance": settings.MARKETSPINE_INSTANCE,
        "subject": message.subject,
        "text": message.text,
        "severity": message.severity,
        "url": message.url,
        "notices": [_notice(delivery) for delivery in message.deliveries],
    }


def _notice(delivery: Delivery) -> dict[str, object]:
    notice = delivery.notice
    return {
        "id": str(delivery.uid),
        "action": delivery.action.lower(),
        "key": dedupe_key(notice),
        "event": notice.event,
        "severity": delivery.severity,
        "place": notice.place,
        "what": notice.what,
        "advice": notice.advice,
        "week_ending": notice.week_ending.isoformat() if notice.week_ending else None,
        "tier": notice.tier or None,
        "use": notice.use or None,
        "category": notice.category or None,
        "run": notice.run_id,
        "rows": notice.rows,
        "count": notice.count,
        "opened_at": notice.opened_at.isoformat(),
        "closed_at": notice.closed_at.isoformat() if notice.closed_at else None,
        "closed_why": notice.closed_why,
    }
