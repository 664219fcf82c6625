"""Sending due deliveries: at least once, in order, by one process at a time for each channel.

A sender takes a channel by one conditional UPDATE, for a minute at a time. It notes the try before it sends, and the
result afterwards. After a death in between another sender tries again: a message may arrive twice, but is never lost. No
transaction and no idle connection is held while a service is asked.
"""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from pipeline.checkpoints import checkpoints
from pipeline.finra.plain_text import storable
from pipeline.finra.sources.deadline import OutOfTime, within
from pipeline.models import (
    Channel,
    ChannelKind,
    Delivery,
    DeliveryAction,
    DeliveryState,
    Digest,
    Event,
    Notice,
    Occurrence,
    Restoration,
    Severity,
    Tally,
)
from pipeline.notices import muting
from pipeline.notices.failures import Lasting, NotAccepted, Passing
from pipeline.notices.message import Message, message_of
from pipeline.notices.routing import route
from pipeline.notices.transports import registry
from pipeline.resilience import clock, stopping
from pipeline.resilience.connections import release
from pipeline.runs import liveness

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
SEND_SECONDS = 20.0  # for one message, whether a name, a connection or a slow body hangs
BUDGET_SECONDS = 60.0  # for one pass over a channel
AT_ONCE = 200
PAUSES = {ChannelKind.SLACK: 1.0}  # seconds between two messages: https://docs.slack.dev/apis/web-api/rate-limits
# After these many minutes a message is tried again; then it is given up.
RETRIES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240))
JITTER = 0.2
LONGEST_ASKED = timedelta(hours=1)
LONGEST_WAIT = RETRIES[-1] * (1 + JITTER)
STORM, STORM_SPAN = 10, timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending one message."""

    channel: str
    subject: str
    state: DeliveryState
    told: str
    seconds: float


def send_all(now: datetime | None = None) -> list[Sent]:
    """Route changed notices, then send due deliveries, channel after channel; the result of each message."""
    return [sent for channel in prepare(now) for sent in send_channel(channel)]


def prepare(now: datetime | None = None) -> list[int]:
    """Route changed notices; the channels with due deliveries. None while a restoration is unfinished.

    Without a channel, what is over is told to none: the first one begins with what is open then, and not with old news.
    """
    if not Channel.objects.exists():
        Notice.objects.unrouted().filter(closed_at__isnull=False).update(routed=F("revision"))
        return []
    if Restoration.objects.unfinished():
        return []
    now = now or timezone.now()
    route(now)
    muting.release(now)
    return channels_due(now)


def channels_due(now: datetime) -> list[int]:
    """The channels with due deliveries, the one that waits longest first. Waits set by a clock that was ahead end here."""
    too_long = Delivery.objects.filter(state=DeliveryState.PENDING, channel__digest=Digest.EACH)
    too_long.filter(next_at__gt=now + LONGEST_WAIT + clock.SKEW).update(next_at=now)
    due = Delivery.objects.due(now).filter(channel__enabled=True).order_by("next_at", "pk")
    free = due.filter(Q(channel__held_until__isnull=True) | ~Q(channel__held_until__range=(now, now + LONGEST_ASKED)))
    return list(dict.fromkeys(free.values_list("channel", flat=True)))


def send_channel(channel_id: int, only: Delivery | None = None) -> list[Sent]:
    """Send a channel's due deliveries, or one alone; none while another process sends to the channel."""
    with liveness.working() as sender:
        if not _take(channel_id, sender):
            return []
        try:
            return _send_while_it_is_ours(channel_id, sender, only)
        finally:
            Channel.objects.filter(pk=channel_id, claimed_by=sender).update(claimed_by="", claimed_until=None)


def _take(channel_id: int, sender: str) -> bool:
    """Take a channel, unless another sender has it whose minute is not over and who may be alive."""
    now = timezone.now()
    has = Q(claimed_until__gt=now, claimed_until__lte=now + LEASE + clock.SKEW)
    channel = Channel.objects.filter(pk=channel_id)
    taken = {"claimed_by": sender, "claimed_until": now + LEASE}
    if channel.exclude(has).update(**taken):
        return True
    holder = channel.values_list("claimed_by", flat=True).first()
    dead = bool(holder) and liveness.is_known_dead(str(holder))
    return dead and bool(channel.filter(claimed_by=holder).update(**taken))


def _keep(channel_id: int, sender: str) -> bool:
    """Another minute; False when another process has taken it meanwhile."""
    own = Channel.objects.filter(pk=channel_id, claimed_by=sender)
    return bool(own.update(claimed_until=timezone.now() + LEASE))


def _send_while_it_is_ours(channel_id: int, sender: str, only: Delivery | None) -> list[Sent]:
    done: list[Sent] = []
    started = time.monotonic()
    channel = Channel.objects.get(pk=channel_id)
    for batch in _batches(channel, only):
        if done:
            time.sleep(PAUSES.get(ChannelKind(channel.kind), 0.0))
        if stopping.is_ordered() or time.monotonic() - started > BUDGET_SECONDS or not _keep(channel_id, sender):
            break
        tried = _begin(batch)
        if not tried:
            continue
        done.append(_try(channel, tried))
        if done[-1].state == DeliveryState.PENDING:  # the service is away: the others have their time, too
            break
    return done


def _batches(channel: Channel, only: Delivery | None) -> list[list[Delivery]]:
    """The deliveries of each message: one in each, but all in one for a digest, or when there are too many."""
    now = timezone.now()
    if only is not None:
        return [[only]]
    due = list(Delivery.objects.due(now).filter(channel=channel).select_related("notice", "notice__run")[:AT_ONCE])
    free = muting.hold(channel, due, now)
    if channel.kind == ChannelKind.PAGERDUTY or not free:
        return [[one] for one in free]
    if channel.digest != Digest.EACH:
        return [free]
    urgent = [one for one in free if one.severity == Severity.CRITICAL or one.action == DeliveryAction.TEST]
    others = [one for one in free if one not in urgent]
    recent = channel.deliveries.filter(sent_at__gt=now - STORM_SPAN).exclude(action=DeliveryAction.TEST).count()
    if recent + len(others) <= STORM:
        return [[one] for one in free]
    has_summary = channel.summary_at is not None and now - STORM_SPAN < channel.summary_at <= now
    return [*([one] for one in urgent), *([] if has_summary or not others else [others])]


def _begin(batch: Sequence[Delivery]) -> list[Delivery]:
    """Note that they are tried; those that are still to be sent."""
    for delivery in batch:
        pending = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING)
        if pending.update(attempts=F("attempts") + 1):
            delivery.attempts += 1
    ids = [one.pk for one in batch]
    still = set(Delivery.objects.filter(pk__in=ids, state=DeliveryState.PENDING).values_list("pk", flat=True))
    return [one for one in batch if one.pk in still]


def _try(channel: Channel, deliveries: Sequence[Delivery]) -> Sent:
    """Try one message once; the result."""
    message = message_of(channel, deliveries, timezone.now())
    release()
    started = time.perf_counter()
    try:
        remote_id = within(SEND_SECONDS, lambda: _send(channel, message), channel.name)
    except NotAccepted as error:
        failure: NotAccepted = error
    except OutOfTime:
        failure = Passing(f"no answer within {SEND_SECONDS:g} s")
    except Exception as error:  # its text may hold the address, which is secret
        at = traceback.extract_tb(error.__traceback__)[-1]
        failure = Lasting(
            f"a failure of our own: {type(error).__name__} in {at.name}, line {at.lineno} of {at.filename}"
        )
    else:
        record_sent(channel, message, remote_id)
        return Sent(channel.name, message.subject, DeliveryState.SENT, "accepted", time.perf_counter() - started)
    state = record_failure(channel, message, failure)
    return Sent(channel.name, message.subject, state, str(failure), time.perf_counter() - started)


@checkpoints("message.send")
def _send(channel: Channel, message: Message) -> str:
    return registry.transport_of(channel).send(channel, message)


@checkpoints("message.record")
@transaction.atomic
def record_sent(channel: Channel, message: Message, remote_id: str) -> None:
    """Note that a service accepted a message. One cancelled meanwhile has arrived too: its notice's end is told."""
    now = timezone.now()
    ids = [one.pk for one in message.deliveries]
    cancelled = Delivery.objects.filter(pk__in=ids, state=DeliveryState.CANCELLED).values("notice")
    Notice.objects.filter(pk__in=cancelled).update(routed=0)
    Delivery.objects.filter(pk__in=ids).update(
        state=DeliveryState.SENT, sent_at=now, last_error="", remote_id=storable(remote_id, 200), muted_by=None
    )
    is_summary = message.only is None and channel.digest == Digest.EACH
    _count(channel, "sent")
    Channel.objects.filter(pk=channel.pk).update(
        sent=F("sent") + 1,
        last_sent_at=now,
        last_error="",
        held_until=None,
        **({"summary_at": now} if is_summary else {}),
    )
    Notice.objects.close(Event.CHANNEL_FAILED, channel.name, "it takes messages again")


@transaction.atomic
def record_failure(channel: Channel, message: Message, failure: NotAccepted) -> DeliveryState:
    """Note that a message was not accepted. It is tried again later, or given up: then the other channels are told."""
    now, told = timezone.now(), storable(str(failure))
    logger.warning("channel %s: %s: %s", channel, message.subject, told)
    attempts = max(one.attempts for one in message.deliveries)
    waiting = Delivery.objects.filter(pk__in=[one.pk for one in message.deliveries], state=DeliveryState.PENDING)
    error = {"last_error": told, "last_error_at": now}
    is_test = any(one.action == DeliveryAction.TEST for one in message.deliveries)
    if isinstance(failure, Passing) and attempts <= len(RETRIES) and not is_test:
        asked = timedelta(seconds=min(failure.after or 0, LONGEST_ASKED.total_seconds()))
        waiting.update(next_at=now + max(_wait(attempts), asked), last_error=told)
        held = {"held_until": now + asked} if asked else {}
        _count(channel, "retry")
        Channel.objects.filter(pk=channel.pk).update(retried=F("retried") + 1, **error, **held)
        return DeliveryState.PENDING
    waiting.update(state=DeliveryState.FAILED, last_error=told)
    _count(channel, "permanent")
    Channel.objects.filter(pk=channel.pk).update(failed=F("failed") + 1, **error)
    if not is_test:
        Notice.objects.open(_channel_failed(channel, told))
    return DeliveryState.FAILED


def _count(channel: Channel, outcome: str) -> None:
    """Count a try, for the metrics."""
    Tally.objects.add("notification_attempts", channel=channel.name, outcome=outcome)


def _wait(attempts: int) -> timedelta:
    """The wait until the next try, a fifth longer or shorter by chance, so that a fleet does not come at once."""
    return RETRIES[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 # no secret


def _channel_failed(channel: Channel, told: str) -> Occurrence:
    return Occurrence(
        event=Event.CHANNEL_FAILED,
        place=channel.name,
        severity=Severity.ERROR,
        what=f"the channel {channel.name} does not take its notices: {told}",
        advice=f"Mend it, then `python manage.py notify test {channel.name}` and `notify resend {channel.name}`.",
    )
