"""Tokens, the limits on requests, asynchronous requests and the control paths."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from tests.fake_finra import FinraServer, Options, Service
from tests.fake_finra.throttle import Throttle
from tests.test_fake_finra.asking import AS_JSON, SUMMARY, TODAY, Answer, ask, equal, get, small_service

PATIENCE = 60
TOKEN = "/fip/rest/ews/oauth2/access_token?grant_type=client_credentials"


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def token_of(server: FinraServer, credentials: str = "client:secret", path: str = TOKEN) -> Answer:
    """Ask the token endpoint."""
    return ask(server, path=path, headers={"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"})


def _with(token: str) -> dict[str, str]:
    return {**AS_JSON, "Authorization": f"Bearer {token}"}


def test_a_token_is_good_until_it_expires() -> None:
    clock = Clock()
    service = Service(small_service().catalogue, Options(anonymous=False, token_seconds=60), today=TODAY, clock=clock)
    with FinraServer(service) as server:
        issued = token_of(server).json
        assert (issued["token_type"], issued["expires_in"]) == ("Bearer", 60)
        clock.now = 59
        assert ask(server, {"limit": 1}, headers=_with(issued["access_token"])).status == 200
        clock.now = 60
        expired = ask(server, {"limit": 1}, headers=_with(issued["access_token"]))
        assert (expired.status, expired.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert ask(server, {"limit": 1}).status == 401


def test_wrong_credentials_another_grant_and_a_revoked_token_are_refused(finra: FinraServer) -> None:
    token = token_of(finra).json["access_token"]
    finra.service.tokens.revoke()
    assert ask(finra, {"limit": 1}, headers=_with(token)).status == 401
    assert token_of(finra, "client:wrong").status == 401
    assert token_of(finra, path=TOKEN.replace("client_credentials", "password")).status == 400
    assert get(finra, TOKEN).status == 405
    assert finra.service.tokens.issued == 1


def test_requests_above_the_rate_are_answered_429_and_logged() -> None:
    service = Service(small_service().catalogue, Options(requests_per_second=2), today=TODAY, clock=Clock())
    with FinraServer(service) as server:
        answers = [ask(server, {"limit": 1}) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 429, 429]
        assert answers[2].headers["Retry-After"] == "1"
        assert [entry.throttled for entry in server.service.log.entries()] == [False, False, True, True]
        assert server.service.log.busiest(PATIENCE) == 4


def test_refused_requests_do_not_count_against_the_rate() -> None:
    clock = Clock()
    throttle = Throttle(2, 1.0, clock=clock)
    assert [throttle.admits("a"), throttle.admits("a"), throttle.admits("a"), throttle.admits("b")] == [
        True, True, False, True,
    ]  # fmt: skip
    clock.now = 1.0
    assert throttle.admits("a")


def test_an_asynchronous_request_is_accepted_pending_then_linked_to_its_whole_result(finra: FinraServer) -> None:
    body = {"compareFilters": equal(weekStartDate="2025-10-27")}
    accepted = ask(finra, {**body, "async": True})
    assert accepted.status == 202
    place = urlsplit(accepted.headers["Location"]).path
    assert get(finra, place).status == 202
    done = get(finra, place)
    assert done.status == 200
    result = get(finra, urlsplit(done.json["resultLink"]).path)
    assert result.json == ask(finra, {**body, "limit": 5000}).json


def test_asynchronous_requests_are_limited_by_the_hour() -> None:
    with FinraServer(small_service(Options(requests_per_second=None, asynchronous_per_hour=2))) as server:
        assert [ask(server, {"async": True}).status for _ in range(3)] == [202, 202, 429]


def test_the_control_paths_move_dates_and_set_faults(finra: FinraServer) -> None:
    assert ask(finra, {"date": "2025-11-16"}, "/_service/today").json == {"date": "2025-11-16"}
    assert ask(finra, {"limit": 1}).status == 204
    assert ask(finra, {"date": TODAY.isoformat()}, "/_service/today").status == 200
    assert ask(finra, {"kind": "status", "status": 502, "times": None}, "/_service/faults").status == 200
    assert [ask(finra, {"limit": 1}).status for _ in range(2)] == [502, 502]
    assert ask(finra, {}, "/_service/faults").json == {}
    assert ask(finra, {"limit": 1}).status == 200
    log = get(finra, "/_service/log").json
    assert [(entry["path"], entry["status"]) for entry in log] == [
        (SUMMARY, 204), (SUMMARY, 502), (SUMMARY, 502), (SUMMARY, 200),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("today", {"date": "soon"}, 400),
        ("faults", {"kind": "bad-weather"}, 400),
        ("faults", {"kind": "status", "colour": "blue"}, 400),
        ("weather", {}, 404),
    ],
)
def test_the_control_paths_say_what_is_wrong(finra: FinraServer, path: str, body: object, status: int) -> None:
    assert ask(finra, body, f"/_service/{path}").status == status
