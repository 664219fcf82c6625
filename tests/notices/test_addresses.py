"""Where messages may go: named hosts by https, and no address of a machine's own secrets."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.notices.addresses import check_address, is_refused, target
from pipeline.notices.failures import Lasting
from pipeline.notices.secrets import check_name, value_of, without

HOSTS = ["hooks.slack.com", "hooks.example.com", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://evil.example/x", "the host evil.example is not among those of MARKETSPINE_NOTIFY_HOSTS"),
        ("https://hooks.slack.com.evil.example/x", "the host hooks.slack.com.evil.example is not among"),
        ("https://hooks.slack.com@evil.example/x", "has a user name or a password in it"),
        ("https://evil.example#@hooks.slack.com/", "the host evil.example is not among"),
        ("http://hooks.slack.com/x", "the address of hooks.slack.com is http"),
        ("https://169.254.169.254/latest/meta-data", "the host 169.254.169.254 is not among"),
        ("https://2130706433/", "the host 2130706433 is not among"),
        ("ftp://hooks.slack.com/x", "the secret is no web address"),
        ("postgresql://user:secret@db/x", "the secret is no web address"),
        ("https://hooks.slack.com:port/verysecret", "the secret is no web address"),
        ("verysecret", "the secret is no web address"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused(settings: Settings, address: str, said: str) -> None:
    settings.MARKETSPINE_NOTIFY_HOSTS = HOSTS
    with pytest.raises(Lasting) as refused:
        target(address)
    assert said in str(refused.value)
    assert "secret@" not in str(refused.value)
    assert "/x" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("https://hooks.slack.com/services/T/B/x", "hooks.slack.com", 443),
        ("https://HOOKS.slack.com.:8443/x", "hooks.slack.com", 8443),
        ("http://127.0.0.1:9/x", "127.0.0.1", 9),
        ("http://[::1]/x", "::1", 80),
    ],
)
def test_an_address_of_a_named_host_may_be_asked(settings: Settings, address: str, host: str, port: int) -> None:
    settings.MARKETSPINE_NOTIFY_HOSTS = HOSTS
    found = target(address)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::", True),
        ("224.0.0.1", True),
        ("10.0.0.5", False),
        ("192.168.1.1", False),
        ("3.4.5.6", False),
        ("2600::1", False),
    ],
)
def test_what_a_named_host_leads_to_is_judged(address: str, refused: bool) -> None:
    found = ipaddress.ip_address(address)
    assert is_refused(found, frozenset({"hooks.example.com"})) is refused
    assert not is_refused(found, frozenset({str(found)}))


def test_a_name_that_leads_to_this_machine_is_refused_unless_it_is_named(settings: Settings) -> None:
    settings.MARKETSPINE_NOTIFY_HOSTS = ["hooks.example.com"]
    with pytest.raises(Lasting, match=r"localhost leads to .*, which is this machine"):
        check_address("localhost", 80)
    settings.MARKETSPINE_NOTIFY_HOSTS = ["localhost"]
    assert check_address("localhost", 80)


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "SLACK_URL_FILE", "slack_url", "SLACK_", "PATH", ""]
)
def test_no_other_variable_is_ever_read(name: str) -> None:
    with pytest.raises(Lasting, match="names no secret of a channel"):
        check_name(name)


def test_a_secret_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Lasting, match="SLACK_URL is not set: set it, or SLACK_URL_FILE"):
        value_of("SLACK_URL")
    path = tmp_path / "slack"
    path.write_text("https://hooks.slack.com/x\n", encoding="utf-8")
    monkeypatch.setenv("SLACK_URL_FILE", str(path))
    assert value_of("SLACK_URL") == "https://hooks.slack.com/x"
    monkeypatch.setenv("SLACK_URL", "x")
    with pytest.raises(Lasting, match="both SLACK_URL and SLACK_URL_FILE are set"):
        value_of("SLACK_URL")


def test_a_text_shows_nothing_of_a_secret() -> None:
    secret = "https://hooks.slack.com/services/T00000/B00000/verysecret?key=abcdef"
    text = f"{secret} failed; /services/T00000/B00000/verysecret; verysecret at hooks.slack.com; key=abcdef"
    assert without(text, secret) == "*** failed; ***; *** at hooks.slack.com; ***"
