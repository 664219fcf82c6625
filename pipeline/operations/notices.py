"""A person's acts on notices: silence some for a while, test a channel, resend the messages that a channel did not take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from pipeline.models import Act, Category, Channel, DeliveryState, Event, OperatorLogEntry, Silence
from pipeline.models.silence import LONGEST
from pipeline.notices import trials
from pipeline.operations.orders import ActResult, Order, Refused, carry_out, given_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """Which notices a silence holds; an empty field matches everything."""

    event: str = ""
    tier: str = ""
    week_ending: date | None = None
    category: str = ""


def silence(matcher: Matcher, until: datetime, order: Order) -> OperatorLogEntry:
    """Hold matching notices until an instant, 14 days at most; a reason is required."""

    def work() -> ActResult:
        order.with_reason()
        now = timezone.now()
        if not now < until <= now + LONGEST:
            raise Refused(f"a silence ends in the future, within {LONGEST // timedelta(days=1)} days at most")
        if matcher.event not in ("", *Event.values) or matcher.category not in ("", *Category.values):
            raise Refused("there is no such event or category")
        made = Silence.objects.create(
            event=matcher.event,
            tier=matcher.tier,
            week_ending=matcher.week_ending,
            category=matcher.category,
            starts_at=now,
            until=until,
            by=order.operator,
            why=order.reason.strip(),
        )
        return ActResult(f"Silence {made.pk} holds {made}. Notices that are still open then are sent.")

    return carry_out(Act.SILENCE, order, (), work)


def end_silence(one: Silence, order: Order) -> OperatorLogEntry:
    """End a silence before its time: the notices that it held and that are still open are sent with the next sweep."""

    def work() -> ActResult:
        now = timezone.now()
        in_force = Silence.objects.in_force(now).filter(pk=one.pk)
        if not in_force.update(ended_at=now, ended_by=order.operator):
            raise Refused(f"silence {one.pk} has ended already")
        held = one.held.filter(state=DeliveryState.MUTED).count()
        return ActResult(f"Silence {one.pk} has ended. It held {held} {'message' if held == 1 else 'messages'}.")

    return carry_out(Act.END_SILENCE, order, [one], work)


def test_channel(channel: Channel, order: Order) -> OperatorLogEntry:
    """Send a test to a channel, once, outside any transaction; Refused when its service does not take it."""
    if (before := given_before(Act.TEST_CHANNEL, order)) is not None:
        return before
    sent = trials.try_channel(channel, order.operator)

    def work() -> ActResult:
        if sent.state != DeliveryState.SENT:
            raise Refused(f"{channel} did not take the test, after {sent.seconds:.1f} s: {sent.told}")
        return ActResult(f"{channel} took the test, after {sent.seconds:.1f} s. Did it arrive?")

    return carry_out(Act.TEST_CHANNEL, order, [channel], work)


def resend(channel: Channel, order: Order) -> OperatorLogEntry:
    """Send again the messages that were given up on a channel, less those whose event is over."""

    def work() -> ActResult:
        again = trials.resend(channel)
        if not again:
            raise Refused(f"no message to the channel {channel} was given up, or all of them are over")
        return ActResult(f"{again} {'message is' if again == 1 else 'messages are'} sent again to {channel}.")

    return carry_out(Act.RESEND, order, [channel], work)
