"""Sending: at least once, again after what may pass, never again after what lasts, by one sender at a time."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from pipeline.models import Channel, Delivery, DeliveryState, Event, Notice, Severity
from pipeline.notices import sending
from tests.management.calling import finish, start
from tests.notices.receiver import DROP, HANG, Receiver, Reply
from tests.notices.telling import PLACE, channel, close, late, open_, told
from tests.support.engines import Ledger

Clock = time_machine.Traveller
MINUTES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240)]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "JITTER", 0.0)


def states() -> list[str]:
    return [sent.state for sent in sending.send_all()]


def test_what_happens_is_told_once_and_its_end_is_told(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel()
    open_()
    assert states() == ["SENT"]
    open_()
    assert states() == []
    assert close() == 1
    assert states() == ["SENT"]
    assert states() == []
    assert receiver.texts == [
        f"[Market Spine prod] WARN Late: {PLACE}",
        f"[Market Spine prod] RESOLVED Late: {PLACE}",
    ]
    assert Channel.objects.get().sent == 2


@pytest.mark.parametrize(
    ("reply", "told_of"),
    [
        (Reply(500, b"rollup_error"), "127.0.0.1 answered 500: rollup_error"),
        (Reply(503, b""), "127.0.0.1 answered 503: an empty body"),
        (Reply(DROP), "the connection to 127.0.0.1 failed: Server disconnected without sending a response."),
        (Reply(408, b"verysecret"), "127.0.0.1 answered 408: ***"),
    ],
    ids=["500", "503", "dropped", "408"],
)
def test_what_may_pass_is_tried_again_later_and_later(
    ledger: Ledger, receiver: Receiver, clock: Clock, reply: Reply, told_of: str
) -> None:
    channel()
    open_()
    receiver.replies = [reply] * 5
    for wait in MINUTES:
        assert states() == ["PENDING"]
        delivery = Delivery.objects.get()
        assert (delivery.next_at - timezone.now(), delivery.last_error) == (wait, told_of)
        clock.shift(wait - timedelta(seconds=1))
        assert states() == []
        clock.shift(timedelta(seconds=1))
    assert states() == ["SENT"]
    assert (len(receiver.received), Channel.objects.get().retried) == (6, 5)


def test_after_six_tries_it_is_given_up_and_the_others_are_told(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    channel(events=[Event.LATE])
    channel("mail", kind="email", secret="", address="a@example.com", events=[Event.CHANNEL_FAILED])
    open_()
    receiver.replies = [Reply(500)] * 6
    for wait in [*MINUTES, timedelta()]:
        states()
        clock.shift(wait)
    assert Delivery.objects.get(notice__event=Event.LATE).state == DeliveryState.FAILED
    notice = Notice.objects.get(event=Event.CHANNEL_FAILED)
    assert (notice.place, notice.severity) == ("ops", Severity.ERROR)
    sending.prepare()
    assert [one.channel.name for one in notice.deliveries.all()] == ["mail"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(400, b"invalid_token"), "127.0.0.1 answered 400: invalid_token"),
        (Reply(404, b"no_service"), "127.0.0.1 answered 404: no_service"),
        (Reply(410, b"channel_is_archived"), "127.0.0.1 answered 410: channel_is_archived"),
        (
            Reply(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
            "127.0.0.1 answered 302, a redirect, and none is followed",
        ),
    ],
    ids=["400", "404", "410", "302"],
)
def test_what_lasts_is_not_tried_again(
    ledger: Ledger, receiver: Receiver, clock: Clock, reply: Reply, said: str
) -> None:
    channel()
    open_()
    receiver.replies = [reply]
    assert states() == ["FAILED"]
    assert Delivery.objects.get(notice__event=Event.LATE).last_error == said
    clock.shift(timedelta(hours=10))
    assert states() == []
    assert len(receiver.received) == 1
    assert Notice.objects.filter(event=Event.CHANNEL_FAILED, closed_at=None).exists()


def test_a_service_that_asks_to_wait_is_left_alone_for_so_long(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    channel()
    open_()
    receiver.replies = [Reply(429, b"slow down", {"Retry-After": "1800"})]
    assert states() == ["PENDING"]
    open_(late("2025-11-21 OTC"))
    clock.shift(timedelta(minutes=29))
    assert states() == []
    clock.shift(timedelta(minutes=2))
    assert states() == ["SENT", "SENT"]
    receiver.replies = [Reply(429, b"", {"Retry-After": "86400"})]
    close()
    assert states() == ["PENDING"]
    clock.shift(timedelta(hours=1, seconds=1))  # no service is obeyed for longer
    assert states() == ["SENT"]


def test_a_host_that_hangs_keeps_no_other_channel_waiting(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.2)
    monkeypatch.setenv("SLACK_B_URL", os.environ["SLACK_URL"] + "/b")
    first = channel("a")
    channel("b", secret="SLACK_B_URL")
    open_()
    receiver.replies = [Reply(HANG)]
    assert next((sent.channel, sent.state) for sent in sending.send_all()) == ("a", "PENDING")
    assert Delivery.objects.get(channel=first).last_error == "no answer within 0.2 s"
    assert Delivery.objects.exclude(channel=first).get().attempts == 1


@pytest.mark.each_database
def test_two_senders_at_once_send_each_message_once(ledger: Ledger, receiver: Receiver) -> None:
    channel()
    for week in range(1, 6):
        open_(late(f"week {week}"))
    sending.prepare()
    together = threading.Barrier(2)
    ids = list(Channel.objects.values_list("pk", flat=True))

    def send() -> None:
        together.wait(30)
        try:
            sending.send_channel(ids[0])
        finally:
            connection.close()

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    sending.send_all()
    assert sorted(receiver.texts) == [f"[Market Spine prod] WARN Late: week {week}" for week in range(1, 6)]


@pytest.mark.promise(9)
@pytest.mark.parametrize(
    ("point", "before", "after"),
    [("message.send.before", 0, 1), ("message.record.before", 1, 2), ("message.record.after", 1, 1)],
)
def test_a_sender_that_is_killed_anywhere_has_another_go_on_at_once(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, point: str, before: int, after: int
) -> None:
    monkeypatch.setenv("MARKETSPINE_NOTIFY_HOSTS", "127.0.0.1")
    monkeypatch.setenv("MARKETSPINE_INSTANCE", "prod")
    channel(events=[Event.LATE])
    open_()
    killed = finish(start(ledger, "-m", "tests.faults.signalling", "SIGKILL", point, "1", "notify", "send"))
    assert (killed.code, len(receiver.received)) == (-9, before), killed
    assert Channel.objects.get().claimed_by

    sending.send_all()

    assert Delivery.objects.get().state == DeliveryState.SENT
    assert receiver.texts == [f"[Market Spine prod] WARN Late: {PLACE}"] * after


def test_a_channel_whose_sender_is_gone_elsewhere_is_free_after_a_minute(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    other = channel()
    open_()
    Channel.objects.update(claimed_by="elsewhere-1234:77:abcd", claimed_until=timezone.now() + sending.LEASE)
    assert states() == []
    clock.shift(timedelta(seconds=61))
    assert states() == ["SENT"]
    other.refresh_from_db()
    assert (other.claimed_by, other.claimed_until) == ("", None)


def test_a_clock_that_was_ahead_holds_nothing_back(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel()
    open_()
    clock.shift(timedelta(days=30))
    receiver.replies = [Reply(500)]
    assert states() == ["PENDING"]
    Channel.objects.update(claimed_by="elsewhere-1234:77:abcd", claimed_until=timezone.now() + sending.LEASE)
    clock.shift(timedelta(days=-30))
    assert states() == ["SENT"]


def test_what_is_over_before_it_was_told_is_not_told(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel()
    open_()
    sending.prepare()
    close()
    assert states() == []
    assert told() == [("TRIGGER", "CANCELLED")]


def test_what_may_have_arrived_is_ended(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    channel()
    open_()
    receiver.replies = [Reply(DROP)]
    assert states() == ["PENDING"]
    close()
    clock.shift(timedelta(minutes=2))
    assert states() == ["SENT", "SENT"]
    assert told() == [("TRIGGER", "SENT"), ("RESOLVE", "SENT")]


def test_what_is_cancelled_while_it_is_sent_is_ended(ledger: Ledger, receiver: Receiver, clock: Clock) -> None:
    one = channel()
    notice = open_()
    sending.prepare()
    batch = sending._begin(list(Delivery.objects.select_related("notice")))
    Channel.objects.update(enabled=False)
    sending.prepare()
    assert told() == [("TRIGGER", "CANCELLED")]
    sending._try(one, batch)  # it has arrived by now
    Channel.objects.update(enabled=True)
    Notice.objects.close_keys([notice.key], "captured")
    assert states() == ["SENT"]
    assert told() == [("TRIGGER", "SENT"), ("RESOLVE", "SENT")]


def test_more_than_ten_at_once_are_one_summary_and_what_is_critical_is_told_alone(
    ledger: Ledger, receiver: Receiver, clock: Clock
) -> None:
    channel()
    for number in range(12):
        open_(late(f"week {number}"))
    open_(late("worst", Severity.CRITICAL))
    assert states() == ["SENT", "SENT"]
    assert receiver.texts == [
        "[Market Spine prod] CRITICAL Late: worst",
        "[Market Spine prod] Summary: 12 warn",
    ]
    open_(late("one more"))
    assert states() == []
    clock.shift(timedelta(minutes=5, seconds=1))
    assert states() == ["SENT"]
    assert receiver.texts[-1] == "[Market Spine prod] WARN Late: one more"
