"""Channels, notices and silences in the admin: tested, held and read, with every act in the operator log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from pipeline.models import Channel, Delivery, Notice, OperatorLogEntry, Silence
from pipeline.notices import sending
from tests.admin.vintages import signed_in
from tests.notices.receiver import Receiver, Reply, receiving
from tests.notices.telling import channel, open_
from tests.support.engines import Ledger

CHANNELS, NOTICES, SILENCES = (f"/admin/pipeline/{name}/" for name in ("channel", "notice", "silence"))
FORM = {
    "name": "desk",
    "kind": "slack",
    "enabled": "on",
    "secret": "SLACK_URL",
    "least_severity": "ERROR",
    "events": ["LATE", "READY"],
    "least_restated_rows": "100",
    "digest": "each",
    "repeat_hours": "24",
    "zone": "America/New_York",
}


@pytest.fixture
def receiver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    settings.MARKETSPINE_NOTIFY_HOSTS = ["127.0.0.1"]
    with receiving() as server:
        monkeypatch.setenv("SLACK_URL", f"{server.url}/services/T000/B000/verysecret")
        yield server


def texts(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_an_administrator_adds_a_channel_and_its_secret_is_never_shown(ledger: Ledger, receiver: Receiver) -> None:
    client = signed_in("Administrator")
    assert client.post(f"{CHANNELS}add/", FORM).status_code == 302
    added = Channel.objects.get()
    assert (added.name, added.events, added.secret) == ("desk", ["LATE", "READY"], "SLACK_URL")
    page = texts(client, f"{CHANNELS}{added.pk}/change/")
    assert "127.0.0.1" in page
    assert "verysecret" not in page + texts(client, CHANNELS)
    assert OperatorLogEntry.objects.get().act == "ADD"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secret": "SECRET_KEY"}, "names no secret of a channel"),
        ({"secret": ""}, "name the environment variable"),
        ({"kind": "email"}, "an e-mail channel has an address"),
        ({"zone": "Mars"}, "There is no such time zone"),
        ({"quiet_from": "22:00"}, "quiet hours have a beginning and an end"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(ledger: Ledger, changed: dict[str, str], said: str) -> None:
    answer = signed_in("Administrator").post(f"{CHANNELS}add/", FORM | changed)
    assert (answer.status_code, said in answer.content.decode()) == (200, True)
    assert not Channel.objects.exists()


def test_an_operator_tests_a_channel_and_is_told_what_came_of_it(ledger: Ledger, receiver: Receiver) -> None:
    client, one = signed_in("Operator"), channel()
    receiver.replies = [Reply(404, b"no_service")]
    for token, said in (("a", "127.0.0.1 answered 404: no_service"), ("b", "ops took the test")):
        answer = client.post(f"{CHANNELS}{one.pk}/do/test-channel/", {"token": token}, follow=True)
        assert said in answer.content.decode()
    client.post(f"{CHANNELS}{one.pk}/do/test-channel/", {"token": "b"})  # a double click
    assert len(receiver.received) == 2
    assert list(OperatorLogEntry.objects.order_by("pk").values_list("outcome", flat=True)) == ["REFUSED", "DONE"]
    assert signed_in("Viewer").post(f"{CHANNELS}{one.pk}/do/test-channel/").status_code == 403


def test_a_silence_is_made_shown_and_ended(ledger: Ledger, receiver: Receiver) -> None:
    client = signed_in("Operator")
    channel()
    notice = open_()
    asked = {"event": "LATE", "hours": "2", "reason": "FINRA has a holiday", "token": "a"}
    assert client.post(f"{SILENCES}new/", {**asked, "hours": "1000"}).status_code == 200
    assert client.post(f"{SILENCES}new/", asked).status_code == 302
    silence = Silence.objects.get()
    assert (silence.event, silence.by, silence.why) == ("LATE", "operator", "FINRA has a holiday")
    assert sending.send_all() == []
    assert "FINRA has a holiday" in texts(client, SILENCES)
    assert notice.place in texts(client, f"{SILENCES}{silence.pk}/change/")
    assert f"silence {silence.pk}" in texts(client, f"{NOTICES}{notice.pk}/change/")
    client.post(f"{SILENCES}{silence.pk}/do/end-silence/", {"token": "b"})
    assert len(sending.send_all()) == 1
    assert "late" in texts(client, f"{NOTICES}?q=late+OTC+open").lower()
    assert list(OperatorLogEntry.objects.order_by("pk").values_list("act", flat=True)) == ["SILENCE", "END_SILENCE"]


def test_the_dashboard_says_that_nobody_is_told(ledger: Ledger) -> None:
    channel()
    open_()
    client = signed_in("Viewer")
    assert "Nobody has been told" not in texts(client, "/admin/")
    Notice.objects.update(changed_at=timezone.now() - timedelta(minutes=31))
    assert "Nobody has been told of what happened for 31 minutes." in texts(client, "/admin/")
    assert not Delivery.objects.exists()
