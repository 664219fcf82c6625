"""Which addresses are asked, and that nothing tells the secret."""

from __future__ import annotations

import json
import logging

import pytest

from pipeline.finra.sources.api.access import Access, check_url
from pipeline.finra.sources.api.retry_after import LONGEST_ASKED
from pipeline.finra.sources.api.source import FinraApi
from pipeline.finra.sources.api.transport import Reply, _issued
from pipeline.finra.sources.base import SourceError, UnsafeSource
from tests.fake_finra import Fault, Kind
from tests.finra.sources.api.asking import KEY, client_of, finra

HOSTS = ("api.finra.org", "ews.fip.finra.org")
SECRET = "a-secret-that-nobody-tells"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.finra.org",
        "http://127.0.0.1:8765",
        "http://localhost:8765/base",
        "http://[::1]:8765",
    ],
)
def test_known_hosts_and_this_machine_may_be_asked(url: str) -> None:
    check_url(url, HOSTS)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.finra.org", "is not https"),
        ("https://api.finra.org.example.com", "is not among api.finra.org, ews.fip.finra.org"),
        ("https://user:password@api.finra.org", "has a user name or password in it"),
        ("https://169.254.169.254", "is not among"),
        ("https://[bad", "is no URL"),
        ("file:///etc/passwd", "is not https"),
        ("", "is not https"),
    ],
)
def test_only_known_hosts_are_asked_and_only_by_https(url: str, problem: str) -> None:
    with pytest.raises(UnsafeSource, match=problem):
        check_url(url, HOSTS)
    with pytest.raises(UnsafeSource, match=problem):
        FinraApi(Access(url, "https://ews.fip.finra.org/token", HOSTS), 1000)


def test_neither_secret_nor_token_is_ever_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with finra(client_secret=SECRET) as server:
        api = client_of(server, client_id="client", client_secret=SECRET)
        api.fetch(KEY)
        server.service.faults.add(Fault(Kind.STATUS, times=None, status=400))
        with pytest.raises(SourceError) as refused:
            api.fetch(KEY)
        (token,) = server.service.tokens._expiries
        told = caplog.text + str(refused.value) + repr(refused.value) + repr(api._access) + str(vars(api))
        assert all(entry.with_token for entry in server.service.log.entries("weeklySummary"))
    assert SECRET not in told
    assert token not in told


@pytest.mark.parametrize("token", ["sekret-token\n", "t\u00f6ken", "", None, 7])
def test_what_is_no_token_is_refused_and_not_told(token: object) -> None:
    with pytest.raises(SourceError, match="without an access_token and its expires_in") as refused:
        _issued(Reply(200, {}, json.dumps({"access_token": token, "expires_in": 60}).encode()))
    assert "sekret" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("seconds", ["1e999", "Infinity", "1e300"])
def test_a_token_for_ever_is_kept_for_a_month(seconds: str) -> None:
    issued = _issued(Reply(200, {}, f'{{"access_token": "t", "expires_in": {seconds}}}'.encode()))
    assert issued.seconds == LONGEST_ASKED


def test_a_token_is_asked_for_again_when_it_expires_and_no_sooner() -> None:
    with finra(token_seconds=3600) as server:
        api = client_of(server, client_id="client", client_secret="secret")
        api.fetch(KEY)
        assert server.service.tokens.issued == 1
        api.standing(KEY, KEY.week_ending, totals_too=True)
        assert server.service.tokens.issued == 1
        server.service.tokens.revoke()
        api.standing(KEY, KEY.week_ending, totals_too=True)
        assert server.service.tokens.issued == 2


def test_every_request_says_who_asks() -> None:
    with finra() as server:
        api = client_of(
            server, client_id="client", client_secret="secret", user_agent="MarketSpine/7 (+desk@example.com)"
        )
        api.fetch(KEY)
        api.available([KEY])
        assert {entry.user_agent for entry in server.service.log.entries()} == {"MarketSpine/7 (+desk@example.com)"}
        assert len({entry.path for entry in server.service.log.entries()}) == 3
