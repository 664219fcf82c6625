"""Who may read: by a token or by a session, what a Viewer may; nobody else, and nothing is changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver
from pytest_django import Settings

from pipeline.models import ApiToken
from tests.admin.vintages import signed_in
from tests.api.asking import API, Script, member, token_of, viewer
from tests.support.engines import Ledger

pytestmark = pytest.mark.usefixtures("ledger")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
# A token of the first release, and the digest that the ledger keeps of it: an upgrade that no longer takes it is none.
OLD_TOKEN = "ms_" + "0123456789abcdef" * 4
OLD_DIGEST = (
    "c416883a2506977de4ea296b89101f546dbf10d626a2956aaa91539d599ddd17"
    "6a4167e68972533316ad4aa6fdf87239b9e147abd1b723df98f8b97a2a0f02c9"
)


def addresses() -> list[str]:
    """Every address of the API, filled in."""
    found = [str(pattern.pattern) for pattern in get_resolver().url_patterns]
    plain = [one for one in found if one.startswith("api/v1/")]
    data = [one for one in plain if not one.endswith("docs")]
    return [f"/{re.sub(r'<[^>]+>', 'x', one)}" for one in data] + [
        "/api",
        "/api/v1",
        "/api/v2/rows",
        "/api/v1/nothing",
    ]


def test_there_are_addresses_to_ask() -> None:
    assert len(addresses()) > 8
    assert f"{API}rows" in addresses()


def test_the_page_of_the_api_is_for_who_has_signed_in(ledger: Ledger) -> None:
    assert Client().get(f"{API}docs")["Location"] == f"/admin/login/?next={API}docs"
    page = signed_in("Viewer").get(f"{API}docs")
    assert page.status_code == 200
    assert b"https:" not in page.content
    assert b"<script>" not in page.content
    browser = Client()
    browser.force_login(User.objects.create_user("nora", is_staff=True))
    assert browser.get(f"{API}docs").status_code == 403


def test_nothing_is_answered_without_a_token(ledger: Ledger) -> None:
    nobody = Script()
    for address in addresses():
        problem = nobody.problem(401, address)
        assert problem["type"] == "/problems/unauthorized", address
        assert problem["instance"] == address
    response = nobody.get("rows")
    assert response["WWW-Authenticate"] == 'Bearer realm="Market Spine"'
    assert "RateLimit" not in response


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x y",
        "Bearer ms_unknown",
        "Bearer \xff\xfe",
        "Basic dXNlcjpwYXNz",
        "Token x",
        "x" * 9000,
    ],
)
def test_what_is_no_token_is_refused(ledger: Ledger, header: str) -> None:
    assert Script().problem(401, "weeks", {"Authorization": header})["type"] == "/problems/unauthorized"


def test_a_token_in_the_address_is_refused(ledger: Ledger) -> None:
    token = token_of(member())
    Script().problem(401, "weeks", token=token)
    assert Script(token).problem(400, "weeks", token=token)["type"] == "/problems/unknown-parameter"


def test_a_viewer_reads_by_token_and_by_session(ledger: Ledger) -> None:
    robot = viewer()
    assert robot.get("weeks").status_code == 200
    browser = signed_in("Viewer")
    assert browser.get(f"{API}weeks").status_code == 200


def test_a_token_ends_when_it_expires_is_revoked_or_its_user_may_not_sign_in(ledger: Ledger) -> None:
    user = member()
    with time_machine.travel(NOON, tick=False) as clock:
        script = Script(token_of(user, lasts=timedelta(hours=1)))
        assert script.get("weeks").status_code == 200
        clock.shift(timedelta(hours=1))
        assert script.problem(401, "weeks")["detail"] == "The token script expired on 2026-11-25."
    assert ApiToken.objects.count() == 1  # it stays, and says so in the admin
    second = Script(token_of(user, "second"))
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert "may not sign in" in second.problem(401, "weeks")["detail"]
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert second.get("weeks").status_code == 200
    ApiToken.objects.all().delete()
    assert "was revoked" in second.problem(401, "weeks")["detail"]


def test_who_may_not_read_is_refused_endpoint_by_endpoint(ledger: Ledger) -> None:
    user = User.objects.create_user("nora")
    script = Script(token_of(user))
    assert script.problem(403, "weeks")["type"] == "/problems/forbidden"
    user.user_permissions.add(Permission.objects.get(codename="view_readiness"))
    assert script.get("weeks").status_code == 200
    script.problem(403, "captures")
    script.problem(403, "")


def test_the_use_of_a_token_is_noted_once_a_minute(ledger: Ledger) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        script = viewer()
        for seconds, noted in ((0, NOON), (59, NOON), (1, NOON + timedelta(minutes=1))):
            clock.shift(timedelta(seconds=seconds))
            script.get("weeks")
            assert ApiToken.objects.get().last_used_at == noted


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_nothing_is_changed_and_no_other_site_may_ask(ledger: Ledger, method: str) -> None:
    script = viewer()
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    response = getattr(script.client, method)(f"{API}weeks", headers={**script.headers, **origin})
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert response["Content-Type"] == "application/problem+json"
    got = script.get("weeks", origin)
    assert not [name for name in (*response.headers, *got.headers) if name.lower().startswith("access-control")]


def test_complaint_20_every_reply_says_how_much_is_left(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_API_READS_PER_MINUTE = 3
    with time_machine.travel(NOON + timedelta(seconds=20.5), tick=False) as clock:
        user = member()
        script, other = Script(token_of(user)), Script(token_of(user, "other"))
        told = [script.get("weeks") for _ in range(2)] + [script.get("weeks", nonsense="1")]
        assert [one["RateLimit-Policy"] for one in told] == ['"read";q=3;w=60'] * 3
        assert [one["RateLimit"] for one in told] == [f'"read";r={left};t=40' for left in (2, 1, 0)]
        assert all("Retry-After" not in one for one in told)
        refused = script.get("weeks")
        assert (refused.status_code, refused["Retry-After"], refused["RateLimit"]) == (429, "40", '"read";r=0;t=40')
        assert script.problem(429, "weeks")["type"] == "/problems/rate-limited"
        assert other.get("weeks")["RateLimit"] == '"read";r=2;t=40'
        clock.shift(timedelta(seconds=int(refused["Retry-After"])))
        assert script.get("weeks").status_code == 200


def test_whole_sets_have_a_limit_of_their_own(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_API_EXPORTS_PER_HOUR = 1
    with time_machine.travel(NOON + timedelta(minutes=20), tick=False):
        script = viewer()
        first = script.get("weeks", format="csv")
        assert (first.status_code, first["RateLimit-Policy"]) == (200, '"export";q=1;w=3600')
        assert first["RateLimit"] == '"export";r=0;t=2400'
        assert script.get("weeks", {"Accept": "text/csv"}).status_code == 429
        assert script.get("weeks").status_code == 200


def test_reading_goes_on_uncounted_while_redis_is_away(ledger: Ledger, settings: Settings) -> None:
    script = viewer()
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"socket_connect_timeout": 1},
        }
    }
    assert script.get("weeks")["RateLimit"].startswith('"read";r=599;')


def test_complaint_22_a_token_of_the_first_release_still_works(ledger: Ledger) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    ApiToken(user=member(), name="old", token_key=OLD_TOKEN[:15], digest=OLD_DIGEST, expiry=tomorrow).save()
    assert Script(OLD_TOKEN).get("weeks").status_code == 200


def test_a_session_that_is_over_is_nobody(ledger: Ledger) -> None:
    browser = signed_in("Viewer")
    browser.logout()
    cache.clear()
    assert browser.get(f"{API}weeks").status_code == 401
    assert Client().get(f"{API}weeks").status_code == 401
