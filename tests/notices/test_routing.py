"""Which channels are told what: filters, digests, repeats, silences, quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from pipeline.models import Channel, ChannelKind, Delivery, DeliveryState, Event, Notice, Occurrence, Severity, Silence
from pipeline.notices import channels, outbox, sending, trials
from tests.notices.receiver import Receiver, Reply
from tests.notices.telling import PLACE, channel, close, late, open_, told
from tests.support.engines import Ledger

Clock = time_machine.Traveller
READY = Occurrence(
    event=Event.READY, place="2025-11-14 trading", severity=Severity.INFO, what="may be used", use="trading"
)


def restated(rows: int) -> Occurrence:
    return Occurrence(event=Event.RESTATED, place=PLACE, severity=Severity.INFO, what="v2", tier="OTC", rows=rows)


def failed(name: str) -> Occurrence:
    return Occurrence(event=Event.CHANNEL_FAILED, place=name, severity=Severity.ERROR, what="no")


@pytest.mark.parametrize(
    ("fields", "occurrence", "wanted"),
    [
        ({}, late(), True),
        ({"least_severity": "ERROR"}, late(), False),
        ({"least_severity": "ERROR"}, late(severity=Severity.CRITICAL), True),
        ({"events": ["READY"]}, late(), False),
        ({"events": ["READY", "LATE"]}, late(), True),
        ({"tiers": ["NMS_TIER_1"]}, late(), False),
        ({"tiers": ["NMS_TIER_1"]}, READY, True),
        ({"uses": ["research"]}, READY, False),
        ({"uses": ["research", "trading"]}, READY, True),
        ({"kind": ChannelKind.PAGERDUTY}, READY, False),
        ({"kind": ChannelKind.PAGERDUTY}, late(), True),
        ({}, restated(99), False),
        ({}, restated(100), True),
        ({"least_restated_rows": 0}, restated(1), True),
        ({}, failed("ops"), False),
        ({}, failed("other"), True),
    ],
)
def test_a_channel_is_told_what_it_wants(fields: dict[str, Any], occurrence: Occurrence, wanted: bool) -> None:
    shown = {"event": occurrence.event, "place": occurrence.place, "severity": occurrence.severity}
    notice = Notice(**shown, tier=occurrence.tier, use=occurrence.use, rows=occurrence.rows)
    assert Channel(name="ops", **{"kind": ChannelKind.SLACK, "uses": [], **fields}).wants(notice) is wanted


@pytest.mark.parametrize(
    ("digest", "now", "due"),
    [
        ("each", datetime(2025, 12, 3, 15, 30, tzinfo=UTC), datetime(2025, 12, 3, 15, 30, tzinfo=UTC)),
        ("hourly", datetime(2025, 12, 3, 15, 30, tzinfo=UTC), datetime(2025, 12, 3, 16, 0, tzinfo=UTC)),
        ("daily", datetime(2025, 12, 3, 12, 59, tzinfo=UTC), datetime(2025, 12, 3, 13, 0, tzinfo=UTC)),
        ("daily", datetime(2025, 12, 3, 13, 0, tzinfo=UTC), datetime(2025, 12, 4, 13, 0, tzinfo=UTC)),
        ("daily", datetime(2026, 3, 7, 20, 0, tzinfo=UTC), datetime(2026, 3, 8, 12, 0, tzinfo=UTC)),  # summer time
        ("weekly", datetime(2025, 12, 3, 15, 0, tzinfo=UTC), datetime(2025, 12, 8, 13, 0, tzinfo=UTC)),
        ("weekly", datetime(2025, 12, 1, 12, 0, tzinfo=UTC), datetime(2025, 12, 1, 13, 0, tzinfo=UTC)),
    ],
)
def test_a_digest_is_due_by_the_clock_of_its_zone(digest: str, now: datetime, due: datetime) -> None:
    assert Channel(digest=digest).due_at(now) == due


def test_a_digest_has_all_of_a_day_in_one(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel(digest="daily")
    for week in ("2025-11-14 OTC", "2025-11-21 OTC"):
        open_(late(week))
    assert sending.send_all() == []
    close()  # over before anybody was told
    clock.move_to(datetime(2025, 12, 2, 13, 0, 1, tzinfo=UTC))
    assert [sent.state for sent in sending.send_all()] == ["SENT"]
    assert receiver.texts == ["[Market Spine prod] Digest 2025-12-02: 1 warn"]


def test_what_gets_graver_is_told_and_what_is_critical_is_said_again(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    channel()
    for severity in (Severity.WARN, Severity.CRITICAL):
        open_(late(severity=severity))
        sending.send_all()
    clock.shift(timedelta(hours=23))
    assert sending.send_all() == []
    clock.shift(timedelta(hours=1, seconds=1))
    sending.send_all()
    assert [text.split()[3] for text in receiver.texts] == ["WARN", "CRITICAL", "CRITICAL"]
    assert told() == [("TRIGGER", "SENT"), ("UPDATE", "SENT"), ("UPDATE", "SENT")]


def test_a_first_channel_is_told_of_open_events_alone(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    Notice.objects.tell(restated(500))
    open_(late("2025-11-21 OTC"))
    open_()
    close()
    sending.send_all()
    clock.shift(timedelta(hours=1))
    channels.save(Channel(name="ops", kind=ChannelKind.SLACK, secret="SLACK_URL", uses=[]))
    assert not outbox.facts(timezone.now()).is_stuck(timezone.now())
    assert [sent.subject for sent in sending.send_all()] == ["[Market Spine prod] WARN Late: 2025-11-21 OTC"]


def test_a_silence_holds_what_matches_until_it_ends(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel()
    now = timezone.now()
    until = now + timedelta(hours=2)
    silence = Silence.objects.create(tier="OTC", starts_at=now, until=until, by="olive", why="maintenance")
    for occurrence in (late(), late("2025-11-21 OTC"), restated(500)):
        open_(occurrence) if occurrence.event is Event.LATE else Notice.objects.tell(occurrence)
    assert sending.send_all() == []
    assert silence.held.count() == 3
    facts = outbox.facts(now + timedelta(hours=1))
    assert (facts.muted, facts.pending, facts.oldest_pending_at) == (3, 0, None)
    close()
    clock.shift(timedelta(hours=2, seconds=1))
    assert [sent.subject for sent in sending.send_all()] == ["[Market Spine prod] WARN Late: 2025-11-21 OTC"]
    assert told() == [("TRIGGER", "CANCELLED"), ("TRIGGER", "SENT"), ("TRIGGER", "CANCELLED")]


def test_quiet_hours_hold_what_is_not_critical(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel(quiet_from=time(22), quiet_until=time(7))
    clock.move_to(datetime(2025, 12, 2, 4, tzinfo=UTC))  # 23:00 in New York
    open_()
    open_(late("worst", Severity.CRITICAL))
    Notice.objects.tell(READY)
    assert [sent.subject for sent in sending.send_all()] == ["[Market Spine prod] CRITICAL Late: worst"]
    clock.move_to(datetime(2025, 12, 2, 12, 0, tzinfo=UTC))
    assert len(sending.send_all()) == 2


def test_a_test_goes_the_same_way_once_whatever_is_held(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    one = channel(events=["READY"], least_severity="CRITICAL", enabled=False)
    now = timezone.now()
    Silence.objects.create(starts_at=now, until=now + timedelta(hours=2), by="olive", why="maintenance")
    receiver.replies = [Reply(500, b"no")]
    sent = trials.try_channel(one, "olive")
    assert (sent.state, sent.told) == (DeliveryState.FAILED, "127.0.0.1 answered 500: no")
    assert trials.try_channel(one, "olive").state == DeliveryState.SENT
    assert receiver.texts == ["[Market Spine prod] INFO Test: ops"] * 2
    clock.shift(timedelta(hours=10))
    assert sending.send_all() == []


def test_what_was_given_up_is_sent_again_but_what_is_over(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    one = channel(events=["LATE"])
    receiver.replies = [Reply(404)] * 2
    for week in ("2025-11-14 OTC", "2025-11-21 OTC"):
        open_(late(week))
    sending.send_all()
    close()
    assert trials.resend(one) == 1
    assert [sent.subject for sent in sending.send_all()] == ["[Market Spine prod] WARN Late: 2025-11-21 OTC"]
    assert not Notice.objects.unclosed().filter(event=Event.CHANNEL_FAILED).exists()


def test_the_outbox_is_stuck_when_something_is_due_for_half_an_hour(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    assert not outbox.facts(timezone.now()).channels
    channel()
    open_()
    began = timezone.now()
    clock.shift(timedelta(minutes=31))
    facts = outbox.facts(timezone.now())  # no sweep has so much as looked
    assert (facts.pending, facts.oldest_pending_at, facts.is_stuck(timezone.now())) == (0, began, True)
    sending.send_all()
    assert not outbox.facts(timezone.now()).is_stuck(timezone.now())
    assert Delivery.objects.drop_pending("restored") == 0
