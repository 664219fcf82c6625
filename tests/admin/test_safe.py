"""What keeps the admin safe: production settings, the content policy, slow guessing of passwords, sessions."""

from __future__ import annotations

import os
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from marketspine.addresses import origins
from marketspine.signing_in import client_address
from tests.management.calling import Ran, finish, start_in
from tests.support.engines import Ledger

LOGIN = "/admin/login/"
PRODUCTION = {
    "SECRET_KEY": "k9" * 32 + "-~!wEr_=)",
    "ALLOWED_HOSTS": "spine.example.com,localhost",
    "MARKETSPINE_HTTPS": "true",
    "CELERY_BROKER_URL": "redis://redis:6379/0",
    "DATABASE_URL": "postgresql://spine:secret@postgres/spine",
}


def checked(**environment: str) -> Ran:
    """`manage.py check --deploy`, every warning an error, in an environment of its own."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MARKETSPINE", "CELERY", "DEBUG"))
    }
    return finish(start_in({**clean, **environment}, "manage.py", "check", "--deploy", "--fail-level", "WARNING"))


@pytest.fixture
def user(ledger: Ledger) -> User:
    made = User.objects.create_user("olive", password="correct horse battery", is_staff=True)
    made.groups.add(Group.objects.get(name="Viewer"))
    return made


def test_the_production_settings_pass_djangos_deployment_checks() -> None:
    ran = checked(**PRODUCTION)
    assert (ran.code, ran.out + ran.err) == (0, "System check identified no issues (0 silenced).\n")


def test_without_https_a_public_site_is_warned_of() -> None:
    ran = checked(**{**PRODUCTION, "MARKETSPINE_HTTPS": "false"})
    assert ran.code == 1
    assert "(marketspine.W005) The site answers to spine.example.com, and MARKETSPINE_HTTPS is off" in ran.err


def test_every_page_forbids_what_is_not_its_own(client: Client, user: User) -> None:
    client.force_login(user)
    for page in (LOGIN, "/admin/", reverse("admin:pipeline_run_changelist"), "/admin/no/such/page/"):
        answer = client.get(page)
        directives = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
        assert directives == {
            "default-src": "'none'",
            "script-src": "'self' 'unsafe-eval'",
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data:",
            "font-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")


def test_no_page_brings_a_script_of_its_own_inline(client: Client, user: User) -> None:
    client.force_login(user)
    for page in (LOGIN, "/admin/", reverse("admin:pipeline_anomaly_changelist"), reverse("rows")):
        html = client.get(page).content.decode()
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", html, re.S)
        executed = [body for attributes, body in scripts if "application/json" not in attributes]
        assert [body for body in executed if body.strip()] == []
        assert not re.search(r"\son[a-z]+=", html)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_guessing_a_password_is_slowed_down(client: Client, user: User, settings: Settings) -> None:
    def sign_in(password: str) -> int:
        return client.post(LOGIN, {"username": "olive", "password": password}).status_code

    assert [sign_in("guess") for _ in range(settings.AXES_FAILURE_LIMIT)] == [200] * 4 + [429]
    assert sign_in("correct horse battery") == 429
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.AXES_COOLOFF_TIME.total_seconds() + 1)):
        assert sign_in("correct horse battery") == 302


def test_a_locked_name_says_how_long_and_leaves_others_in_peace(client: Client, user: User) -> None:
    for _ in range(5):
        answer = client.post(LOGIN, {"username": "olive", "password": "guess"})
    assert answer.status_code == 429
    assert "Try again in 0:15:00 (hours, minutes, seconds)" in answer.content.decode()
    User.objects.create_user("otto", password="another horse battery", is_staff=True)
    assert client.post(LOGIN, {"username": "otto", "password": "another horse battery"}).status_code == 302


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Client, user: User) -> None:
    client.post(LOGIN, {"username": "olive", "password": "correct horse battery"})
    cookie = client.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 12 * 3600)


def test_who_is_no_staff_cannot_come_in(client: Client, ledger: Ledger) -> None:
    client.force_login(User.objects.create_user("visitor"))
    for page in ("/admin/", reverse("rows"), reverse("admin:pipeline_backfill")):
        answer = client.get(page)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, LOGIN)


def test_after_signing_in_nobody_is_sent_elsewhere(client: Client, user: User) -> None:
    signing_in = {"username": "olive", "password": "correct horse battery", "next": "https://evil.example/"}
    assert client.post(f"{LOGIN}?next=https://evil.example/", signing_in)["Location"] == "/admin/"


def test_an_act_needs_the_token_of_its_own_site(user: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    user.groups.add(Group.objects.get(name="Operator"))
    strict.force_login(user)
    assert strict.post(reverse("admin:pipeline_backfill"), {"first": "2025-11-14"}).status_code == 403


@pytest.mark.parametrize("host", ["spine.example.com", "spine.example.com:8443"])
def test_signing_in_through_tls_on_another_port(user: User, settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS, settings.HTTPS = ["spine.example.com"], True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.CSRF_TRUSTED_ORIGINS = origins("https://spine.example.com:8443", settings.ALLOWED_HOSTS)
    browser = Client(enforce_csrf_checks=True, headers={"host": host, "x-forwarded-proto": "https"})
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(LOGIN).content.decode())[0]

    sign_in = {"username": "olive", "password": "correct horse battery", "csrfmiddlewaretoken": token}
    answer = browser.post(LOGIN, sign_in, headers={"origin": "https://spine.example.com:8443"})

    assert answer.status_code == 302


def spray(client: Client, names: int, **headers: str) -> list[int]:
    """The answers to one wrong password for each of so many names."""
    return [
        client.post(LOGIN, {"username": f"name{number}", "password": "Spring2026!"}, headers=headers).status_code
        for number in range(names)
    ]


def test_one_password_for_many_names_locks_the_address(client: Client, user: User, settings: Settings) -> None:
    assert spray(client, 40) == [200] * 19 + [429] * 21
    assert client.post(LOGIN, {"username": "olive", "password": "correct horse battery"}).status_code == 429
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert elsewhere.post(LOGIN, {"username": "olive", "password": "correct horse battery"}).status_code == 302
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.AXES_COOLOFF_TIME.total_seconds() + 1)):
        assert client.post(LOGIN, {"username": "olive", "password": "correct horse battery"}).status_code == 302


def test_a_header_of_the_clients_own_changes_no_address(client: Client, user: User) -> None:
    answers = [spray(client, 1, **{"x-forwarded-for": f"192.0.2.{number}"})[0] for number in range(21)]
    assert answers == [200] * 4 + [429] * 17


def test_behind_proxies_each_client_has_its_own_address(client: Client, user: User, settings: Settings) -> None:
    settings.MARKETSPINE_PROXIES = 2
    for number in range(21):
        forged = {"x-forwarded-for": f"10.0.0.{number}, 192.0.2.7, 198.51.100.1"}
        answer = client.post(LOGIN, {"username": f"name{number}", "password": "guess"}, headers=forged)
    assert answer.status_code == 429
    other = {"x-forwarded-for": "192.0.2.7, 203.0.113.9, 198.51.100.1"}
    signing_in = {"username": "olive", "password": "correct horse battery"}
    assert client.post(LOGIN, signing_in, headers=other).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "192.0.2.7", "127.0.0.1"),
        (1, "192.0.2.7", "192.0.2.7"),
        (1, "192.0.2.66, 192.0.2.7", "192.0.2.7"),
        (2, "192.0.2.7", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "unknown", "127.0.0.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_the_address_of_a_client(settings: Settings, proxies: int, forwarded: str, address: str) -> None:
    settings.MARKETSPINE_PROXIES = proxies
    assert client_address(RequestFactory().get("/", headers={"x-forwarded-for": forwarded})) == address


def test_the_form_refuses_a_name_that_is_too_long(client: Client, ledger: Ledger) -> None:
    answer = client.post(LOGIN, {"username": "x" * 151, "password": "guess"})
    assert answer.status_code == 200
    assert "at most 150 characters" in answer.content.decode()
