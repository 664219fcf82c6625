"""`manage.py notify`: channels, silences and sending, as an operator types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import Channel, Notice, OperatorLogEntry, Silence
from tests.management.calling import call
from tests.management.publications import DAY, WEEK
from tests.notices.receiver import Receiver, Reply, receiving
from tests.notices.telling import open_
from tests.support.engines import Ledger


@pytest.fixture
def receiver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    settings.MARKETSPINE_NOTIFY_HOSTS = ["127.0.0.1"]
    with receiving() as server:
        monkeypatch.setenv("SLACK_URL", f"{server.url}/services/T000/B000/verysecret")
        yield server


def add(*arguments: str) -> None:
    added = call("notify", "add", "ops", "--kind", "slack", "--secret", "SLACK_URL", "--by", "olive", *arguments)
    assert added.code == 0, added


def test_a_channel_is_added_tested_and_told(ledger: Ledger, receiver: Receiver) -> None:
    add("--least", "WARN", "--events", "LATE,READY", "--quiet", "22:00-07:00", "--uses", "all")
    channel = Channel.objects.get()
    assert (channel.events, channel.uses, channel.least_severity) == (["LATE", "READY"], [], "WARN")
    assert (str(channel.quiet_from), str(channel.quiet_until)) == ("22:00:00", "07:00:00")

    tested = call("notify", "test", "ops", "--json")
    assert (tested.code, tested.document["accepted"], tested.document["goes_to"]) == (0, True, "127.0.0.1")

    assert call("notify", "change", "ops", "--quiet", "none").code == 0
    open_()
    sent = call("notify", "send", "--json")
    assert [one["state"] for one in sent.document["messages"]] == ["SENT"]
    listed = call("notify", "list")
    assert listed.code == 0
    assert "verysecret" not in listed.out + tested.out + sent.out
    assert any(line.split()[:4] == ["ops", "slack", "127.0.0.1", "0"] for line in listed.lines)
    acts = list(OperatorLogEntry.objects.order_by("pk").values_list("act", "operator"))
    assert [act for act, _ in acts] == ["ADD", "TEST_CHANNEL", "CHANGE"]
    assert acts[0][1] == "olive"


def test_a_channel_that_does_not_take_it_ends_with_1(ledger: Ledger, receiver: Receiver) -> None:
    add()
    receiver.replies = [Reply(404, b"no_service")] * 2
    tested = call("notify", "test", "ops")
    assert (tested.code, "127.0.0.1 answered 404: no_service" in tested.out) == (1, True)
    open_()
    assert call("notify", "send").code == 1
    assert call("notify", "list").code == 1
    assert call("notify", "resend", "ops").code == 0
    assert call("notify", "send").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "x", "--kind", "slack"], "secret: name the environment variable"),
        (["add", "x", "--kind", "slack", "--secret", "SECRET_KEY"], "'SECRET_KEY' names no secret of a channel"),
        (["add", "x", "--kind", "email"], "address: an e-mail channel has an address"),
        (["add", "x", "--kind", "email", "--address", "a@b.example", "--events", "PARTY"], "'PARTY' is none of READY"),
        (["add", "x", "--kind", "email", "--address", "a@b.example", "--zone", "Mars"], "'Mars' is no time zone"),
        (["add", "x", "--kind", "email", "--address", "a@b.example", "--quiet", "22-25"], "write 22:00-07:00, or none"),
        (["test", "x"], "there is no channel 'x'; known: none"),
        (["silence", "--for", "15d", "--why", "x"], "within 14 days"),
        (["silence", "--for", "2x", "--why", "x"], "write 90m, 2h or 3d"),
        (["silence", "--for", "2h", "--why", " "], "say why"),
        (["end-silence", "7"], "there is no silence 7"),
    ],
)
def test_what_makes_no_sense_is_refused_with_2(ledger: Ledger, arguments: list[str], said: str) -> None:
    ran = call("notify", *arguments, "--json")
    assert (ran.code, said in ran.document["error"]) == (2, True), ran
    assert not Channel.objects.exists()
    assert not Silence.objects.exists()


def test_a_host_that_is_not_named_is_refused_when_it_is_saved(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://169.254.169.254/latest")
    ran = call("notify", "add", "x", "--kind", "webhook", "--secret", "WEBHOOK_URL")
    assert (ran.code, "the host 169.254.169.254 is not among those of MARKETSPINE_NOTIFY_HOSTS" in ran.err) == (2, True)
    added = call("notify", "add", "x", "--kind", "webhook", "--secret", "WEBHOOK_OTHER_URL")
    assert (added.code, "WEBHOOK_OTHER_URL is not set" in added.err) == (
        0,
        True,
    )  # it may be set where messages are sent


def test_a_silence_is_made_and_ended(ledger: Ledger) -> None:
    made = call("notify", "silence", "--event", "LATE", "--tier", "OTC", "--for", "90m", "--why", "holiday")
    silence = Silence.objects.get()
    assert (made.code, str(silence).startswith("LATE, OTC until ")) == (0, True)
    assert f"Silence {silence.pk}: LATE, OTC until" in call("notify", "list").out
    assert call("notify", "end-silence", silence.pk).code == 0
    assert call("notify", "end-silence", silence.pk).code == 2
    assert not Notice.objects.exists()


def test_a_run_by_hand_tells_when_it_has_ended(ledger: Ledger, source_dir: Path, receiver: Receiver) -> None:
    add()
    ran = call("run_weekly", "--weeks", WEEK, "--run-date", DAY, "--tiers", "OTC")
    assert ran.code == 1
    assert any("ERROR Run failed: run_weekly" in text for text in receiver.texts)
