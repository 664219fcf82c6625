"""Every address of the admin, walked as nobody, as a Viewer, an Operator and an Administrator: who may do what.

The addresses come from Django's own resolver, so that a page that is added is walked as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.admin import ModelAdmin

from pipeline import operations
from pipeline.keeping.policy import Policy
from pipeline.models import (
    AnalyticsSnapshot,
    Anomaly,
    Backup,
    Capture,
    Channel,
    Drill,
    Manifest,
    Notice,
    OperatorLogEntry,
    Partition,
    PrunePlan,
    Readiness,
    Run,
    Silence,
)
from pipeline.notices import routing
from pipeline.operations import Matcher, Order
from tests.management.calling import call
from tests.management.publications import DAY, OTC, ROWS, TIER_1, WEEK, content, publish, publish_week, restate
from tests.notices import telling
from tests.support.engines import Begin

OPEN_TO_ALL = {"admin/login/", "admin/logout/"}
PEOPLE = ("admin/auth/",)
OF_ONES_OWN = "/admin/pipeline/apitoken/"  # tests/api/test_token_pages.py
KEPT = ("admin/django_celery_beat/", "admin/pipeline/channel/")
CHANGING = ("/add/", "/delete/", "/password/")
SEEN = (
    Partition,
    Capture,
    Anomaly,
    Readiness,
    Manifest,
    AnalyticsSnapshot,
    Run,
    OperatorLogEntry,
    Notice,
    Silence,
    Channel,
    PrunePlan,
    Backup,
    Drill,
    PeriodicTask,
    CrontabSchedule,
    IntervalSchedule,
    User,
    Group,
)
EVIDENCE = (Partition, Capture, Anomaly, Readiness, Manifest, AnalyticsSnapshot, Run, OperatorLogEntry)
STRANGE = ("0", "999999999", "-1", "x", "1%27--", "..%2f..%2fetc", "%00")


@pytest.fixture
def ledger_with_everything(begin: Begin) -> None:
    """A week captured, then one tier restated and one refused: every kind of thing has a row."""
    begin(everything)


def everything(source_dir: Path) -> None:
    publish_week(source_dir)
    captured = call("backfill", "--weeks", WEEK, "--run-date", DAY)
    assert captured.code == 0, captured
    publish(source_dir, OTC, content(OTC, ROWS[:1]))
    restate(source_dir, TIER_1)
    call("backfill", "--weeks", WEEK, "--run-date", DAY)
    operations.plan_pruning(Policy(older_than=730), Order(operator="olive"))
    at = Run.objects.latest("pk").created_at
    Backup.objects.create(made_at=at, finished_at=at, place="elsewhere", name="20251215T170000Z")
    Drill.objects.create(
        begun_at=at,
        name="20251215T170000Z",
        place="elsewhere",
        passed=True,
        seconds=1,
        lost_seconds=60,
        report={"seed": 1, "checks": [{"what": "there is a capture", "passed": True}]},
    )
    OperatorLogEntry.objects.create(
        at=Run.objects.latest("pk").created_at, operator="olive", act="PIN", outcome="DONE", sentence="pinned"
    )
    telling.channel(kind="email", secret="", address="desk@example.com")
    routing.route(timezone.now())
    operations.silence(Matcher(event="LATE"), timezone.now() + timedelta(hours=2), Order(operator="olive", reason="x"))


def signed_in(role: str) -> Client:
    """A browser of a member of the role."""
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


def addresses() -> Iterator[str]:
    """Each address below /admin/, an id standing for every object that it may name."""
    for route in sorted(set(_routes(get_resolver().url_patterns, ""))):
        if route.startswith("admin/") and "autocomplete" not in route:
            yield from _filled(route)


def _routes(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield route


def _filled(route: str) -> Iterator[str]:
    """The address for the newest object of its model; those that name no model as they are."""
    plain = route.rstrip("$").replace("\\Z", "")
    if "(?P<app_label>" in plain or "(?P<url>" in plain or "<path:content_type_id>" in plain:
        return
    named = re.search(r"<(?:\w+:)?(?:object_id|id|pk|user_id)>", plain)
    if named is None:
        assert "<" not in plain, route
        yield f"/{plain}"
    elif (pk := _newest(plain)) is not None:
        yield "/" + plain.replace(named[0], str(pk))


def _newest(route: str) -> object:
    seen: list[Any] = [one for one in SEEN if route.startswith(f"admin/{one._meta.app_label}/{one._meta.model_name}/")]
    model = seen[0] if seen else None
    found = model._default_manager.order_by("-pk").first() if model else None
    return found.pk if found else None


def is_act(address: str) -> bool:
    return "/do/" in address or address.endswith(("/backfill/", "/silence/new/", "/pruneplan/new/"))


def test_there_are_addresses_to_walk(ledger_with_everything: None) -> None:
    listed = list(addresses())
    assert len(listed) > 60
    assert len([address for address in listed if is_act(address)]) >= 14


def test_nobody_sees_anything_without_signing_in(ledger_with_everything: None) -> None:
    client = Client()
    for address in addresses():
        if address.lstrip("/") in OPEN_TO_ALL:
            continue
        for answer in (client.get(address), client.post(address, {"reason": "x"})):
            assert (answer.status_code, answer.headers.get("Location", "")[:13]) == (302, "/admin/login/"), address


def test_a_viewer_opens_everything_and_starts_nothing(ledger_with_everything: None) -> None:
    client, before = signed_in("Viewer"), _all_there_is()
    for address in addresses():
        seen = client.get(address, follow=True).status_code
        if address.startswith(OF_ONES_OWN):
            assert seen == 200, address
        elif is_act(address) or address.startswith(tuple(f"/{part}" for part in PEOPLE)) or address.endswith(CHANGING):
            assert seen in (403, 404), f"{seen} {address}"
        elif address not in ("/admin/logout/", "/admin/login/"):
            assert seen in (200, 302, 404), f"{seen} {address}"
            assert seen != 404 or address.endswith("/history/"), address
        if address.endswith(("/logout/", "/login/", "password_change/", "/toggle-sidebar/")):
            continue
        posted = client.post(address, {"reason": "because", "action": "reingest", "_selected_action": "1"}).status_code
        assert posted in (200, 302, 403, 404, 405), f"{posted} {address}"
        assert not is_act(address) or posted == 403, address
    assert _all_there_is() == before


def test_an_operator_acts_and_keeps_neither_schedules_nor_users(ledger_with_everything: None) -> None:
    client = signed_in("Operator")
    for address in addresses():
        if address.startswith(tuple(f"/{part}" for part in PEOPLE)):
            assert client.get(address, follow=True).status_code in (403, 404), address
            assert client.post(address, {}, follow=True).status_code in (403, 404), address
        elif address.startswith(tuple(f"/{part}" for part in KEPT)) and address.endswith(CHANGING):
            assert client.get(address).status_code == 403, address
        elif is_act(address):
            assert client.get(address).status_code in ((403,) if "/pruneplan/" in address else (200, 405)), address
    before = list(PeriodicTask.objects.order_by("pk").values())
    weekly = PeriodicTask.objects.get(name="weekly run")
    client.post(f"/admin/django_celery_beat/periodictask/{weekly.pk}/change/", {"name": "mine", "enabled": ""})
    assert list(PeriodicTask.objects.order_by("pk").values()) == before


def test_an_administrator_keeps_schedules_and_users(ledger_with_everything: None) -> None:
    client = signed_in("Administrator")
    for address in addresses():
        if address.startswith(tuple(f"/{part}" for part in (*PEOPLE, *KEPT))) and "/do/" not in address:
            assert client.get(address).status_code in (200, 302), address


def test_evidence_is_read_only_for_everybody(ledger_with_everything: None) -> None:
    User.objects.create_superuser("root", password="x")
    client, before = Client(), _all_there_is()
    client.force_login(User.objects.get(username="root"))
    for model in (*EVIDENCE, Notice, Silence):
        name, pk = model._meta.model_name, model._default_manager.order_by("pk")[0].pk
        for page in ("add/", f"{pk}/delete/"):
            assert client.get(f"/admin/pipeline/{name}/{page}").status_code == 403, (name, page)
        assert client.post(f"/admin/pipeline/{name}/{pk}/change/", {"reason": "changed"}).status_code == 405
        chosen = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
        client.post(f"/admin/pipeline/{name}/", chosen)
    assert _all_there_is() == before


@pytest.mark.parametrize("strange", STRANGE)
def test_an_id_that_names_nothing_is_not_found(ledger_with_everything: None, strange: str) -> None:
    client = signed_in("Operator")
    for model in (*EVIDENCE, Notice, Silence):
        answer = client.get(f"/admin/pipeline/{model._meta.model_name}/{strange}/change/")
        assert answer.status_code == 404, (model, strange)
    for act in ("partition/{}/do/reingest", "anomaly/{}/do/resolve", "run/{}/do/cancel-run", "capture/{}/do/pin"):
        answer = client.post(f"/admin/pipeline/{act.format(strange)}/", {"reason": "x"})
        assert answer.status_code == 404, (act, strange)


def _all_there_is() -> dict[str, list[Any]]:
    """Every row of the evidence, and of the schedules: what walking about must not change."""
    watched: list[Any] = [model for model in SEEN if model is not User]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in watched}


def test_every_kind_of_schedule_is_in_the_skin() -> None:
    for model in (PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule, User, Group):
        assert isinstance(admin.site._registry[model], ModelAdmin)
