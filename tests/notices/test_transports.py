"""What each kind of channel sends, and what it takes for an answer: real HTTP and SMTP servers."""

from __future__ import annotations

import email
import hmac
import socket
from collections.abc import Iterator
from email.message import Message as Mail
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from django.core.mail import DNS_NAME
from pytest_django import Settings

from pipeline.models import Channel, ChannelKind, Delivery, Event, Notice, Occurrence, Severity
from pipeline.notices import sending, trials
from tests.notices.receiver import Receiver, Reply
from tests.notices.telling import PLACE, channel, close, late, open_
from tests.support.engines import Ledger


class Mailbox:
    """A mail server's inside: `answers` are given in turn, and then mail is taken."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.mails: list[Mail] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 # aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content))
        return self.answers.pop(0) if self.answers else "250 taken"


@pytest.fixture
def mailbox(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A real SMTP server on loopback, to which the settings lead. Nobody is asked how this machine is called."""
    monkeypatch.setattr(DNS_NAME, "_fqdn", "spine.test", raising=False)
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, server_hostname="mail.test")
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS = "127.0.0.1", False
    settings.EMAIL_PORT = port
    settings.DEFAULT_FROM_EMAIL = "Market Spine <spine@example.com>"
    settings.MARKETSPINE_INSTANCE = "prod"
    try:
        yield box
    finally:
        controller.stop()


def mail_channel() -> Channel:
    return channel(kind=ChannelKind.EMAIL, secret="", address="desk@example.com")


def test_mail_is_text_and_threaded_by_what_it_is_about(ledger: Ledger, mailbox: Mailbox) -> None:
    mail_channel()
    open_()
    sending.send_all()
    close()
    sending.send_all()
    first, second = mailbox.mails
    assert first["Subject"] == f"[Market Spine prod] WARN Late: {PLACE}"
    assert second["Subject"] == f"[Market Spine prod] RESOLVED Late: {PLACE}"
    assert (first["To"], first["Auto-Submitted"]) == ("desk@example.com", "auto-generated")
    assert first["References"] == second["References"]
    assert first["Message-ID"] == f"<{Delivery.objects.earliest('pk').uid}@example.com>"
    assert first.get_content_type() == "text/plain"
    assert str(first.get_payload()).splitlines() == ["due, and not there"]


@pytest.mark.parametrize(
    ("answer", "state"), [("451 try later", "PENDING"), ("550 no such user", "FAILED"), ("552 too large", "FAILED")]
)
def test_mail_that_is_not_taken_is_tried_again_or_given_up(
    ledger: Ledger, mailbox: Mailbox, answer: str, state: str
) -> None:
    mail_channel()
    open_()
    mailbox.answers = [answer]
    sent = sending.send_all()[0]
    assert (sent.state, sent.told) == (state, f"the mail server answered {answer.replace(' ', ': ', 1)}")


def test_a_mail_server_that_is_away_passes(ledger: Ledger, mailbox: Mailbox, settings: Settings) -> None:
    settings.EMAIL_PORT = 9
    mail_channel()
    open_()
    assert sending.send_all()[0].state == "PENDING"
    settings.EMAIL_HOST = ""
    assert trials.try_channel(Channel.objects.get(), "olive").told.startswith("EMAIL_HOST is not set")


def test_slack_takes_no_markup_from_outside(ledger: Ledger, receiver: Receiver) -> None:
    channel()
    open_(late("<!channel> & <https://evil.example|here>"))
    sending.send_all()
    assert receiver.received[0].document == {
        "text": "*[Market Spine prod] WARN Late: &lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;*\n"
        "due, and not there"
    }


def test_pagerduty_has_an_incident_for_each_notice_and_resolves_it(
    ledger: Ledger, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MARKETSPINE_PAGERDUTY_URL = f"{receiver.url}/v2/enqueue"
    monkeypatch.setenv("PAGERDUTY_KEY", "0123456789abcdef")
    receiver.replies = [Reply(202, b'{"status": "success", "dedup_key": "prod:LATE|2025-11-14 OTC"}')]
    pager = channel(kind=ChannelKind.PAGERDUTY, secret="PAGERDUTY_KEY")
    open_(late(severity=Severity.CRITICAL))
    sending.send_all()
    close()
    sending.send_all()
    key = f"prod:LATE|{PLACE}"
    opened, resolved = [one.document for one in receiver.received]
    assert (opened["routing_key"], opened["event_action"], opened["dedup_key"]) == (
        "0123456789abcdef",
        "trigger",
        key,
    )
    assert (opened["payload"]["severity"], opened["payload"]["source"]) == ("critical", "prod")
    assert opened["payload"]["summary"] == f"[Market Spine prod] CRITICAL Late: {PLACE}"
    assert (resolved["event_action"], resolved["dedup_key"], "payload" in resolved) == ("resolve", key, False)
    assert Delivery.objects.earliest("pk").remote_id == key
    trials.try_channel(pager, "olive")
    assert [one.document["event_action"] for one in receiver.received[2:]] == ["trigger", "resolve"]


def test_a_webhook_is_json_that_is_signed(ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", f"{receiver.url}/hook?token=verysecret")
    monkeypatch.setenv("WEBHOOK_KEY", "signing key")
    channel(kind=ChannelKind.WEBHOOK, secret="WEBHOOK_URL", signing_secret="WEBHOOK_KEY")
    open_()
    receiver.replies = [Reply(500, b"token=verysecret signing key")]
    assert sending.send_all()[0].told == "127.0.0.1 answered 500: *** ***"
    Delivery.objects.update(next_at="2025-12-01T00:00Z")
    sending.send_all()
    first, again = receiver.received
    delivery = Delivery.objects.get()
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == str(delivery.uid)
    signed = f"{again.headers['MarketSpine-Timestamp']}.".encode() + again.body
    expected = hmac.new(b"signing key", signed, "sha256").hexdigest()
    assert again.headers["MarketSpine-Signature"] == f"v1={expected}"
    assert (again.path, again.document["version"], again.document["subject"]) == (
        "/hook?token=verysecret",
        1,
        f"[Market Spine prod] WARN Late: {PLACE}",
    )
    notice = again.document["notices"][0]
    assert (notice["action"], notice["key"], notice["tier"]) == ("trigger", f"prod:LATE|{PLACE}", "OTC")


def test_apprise_follows_no_redirect_and_asks_only_hosts_that_are_named(
    ledger: Ledger, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apprise", reason="an extra: requirements-extras.txt")
    monkeypatch.setenv("APPRISE_URL", receiver.url.replace("http", "json", 1) + "/verysecret?redirect=yes")
    one = channel(kind=ChannelKind.APPRISE, secret="APPRISE_URL")
    open_()
    receiver.replies = [Reply(302, b"", {"Location": f"{receiver.url}/elsewhere"})]
    sent = sending.send_all()[0]
    assert (sent.state, "verysecret" in sent.told, len(receiver.received)) == ("PENDING", False, 1)
    Delivery.objects.update(next_at="2025-12-01T00:00Z")
    assert sending.send_all()[0].state == "SENT"
    assert receiver.received[1].document["message"] == "due, and not there"
    settings.MARKETSPINE_NOTIFY_HOSTS = ["hooks.slack.com"]
    assert trials.try_channel(one, "olive").told.startswith("the host 127.0.0.1 is not among those of")
    monkeypatch.setenv("APPRISE_URL", "nothing")
    assert "no URL that apprise knows" in trials.try_channel(one, "olive").told


def test_a_message_has_no_control_characters_and_a_short_subject(ledger: Ledger, mailbox: Mailbox) -> None:
    mail_channel()
    Notice.objects.open(
        Occurrence(event=Event.FAILED, place="x" * 150, severity=Severity.ERROR, what="one\r\nBcc: all\x1b[2J" * 50)
    )
    assert sending.send_all()[0].state == "SENT"
    mail = mailbox.mails[0]
    assert len(mail["Subject"].replace("\r\n ", " ")) == 120
    assert mail["Bcc"] is None
    assert "\x1b" not in str(mail.get_payload(decode=True))
