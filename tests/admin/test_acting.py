"""Buttons and list actions: what they send, what they say, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client
from pytest_django import Settings

from pipeline.admin.shared.acting import PERMISSIONS
from pipeline.models import Act, Anomaly, Category, OperatorLogEntry, Partition, Run, Severity
from tests.management.calling import call
from tests.management.publications import DAY, OTC, WEEK, publish_week
from tests.support.engines import Begin

PARTITIONS = "/admin/pipeline/partition/"


def week_captured(source_dir: Path) -> None:
    publish_week(source_dir)
    assert call("backfill", "--weeks", WEEK, "--run-date", DAY).code == 0


@pytest.fixture
def partition(begin: Begin) -> Partition:
    """A partition that is captured, with the others of its week."""
    begin(week_captured)
    return Partition.objects.get(week_ending=OTC.week_ending, tier=OTC.tier)


def signed_in(role: str) -> Client:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def told(answer: Any) -> list[str]:
    """The messages that an answer leaves for the next page, without markup."""
    return [re.sub(r"<[^>]+>", "", str(message)) for message in get_messages(answer.wsgi_request)]


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f-]{36})"', page)
    assert found
    return found[1]


def test_every_act_has_its_permission() -> None:
    of_forms = {Act.ADD, Act.CHANGE, Act.DELETE}
    of_commands = {Act.RUN, Act.INGEST_FILE, Act.PROBE, Act.RECOVER_RUNS, Act.CHECK_ARCHIVE}
    of_commands |= {Act.REBUILD_VINTAGES, Act.RESTORE, Act.PRUNE_REMOVE, Act.BACKUP, Act.BACKUP_RECORD}
    of_commands |= {Act.BACKUP_DRILL, Act.RESTORE_BACKUP, Act.RESTORE_FINISH}
    assert PERMISSIONS.keys() == set(Act) - of_forms - of_commands
    names = ("can_run", "can_force", "can_resolve", "can_pin", "can_cancel", "can_prune", "can_notify")
    assert set(PERMISSIONS.values()) == {f"pipeline.{name}" for name in names}


def test_a_button_answers_at_once_with_a_link_to_the_run(partition: Partition) -> None:
    client, page = signed_in("Operator"), f"{PARTITIONS}{partition.pk}/change/"
    token = token_in(client.get(page).content.decode())

    answer = client.post(f"{PARTITIONS}{partition.pk}/do/reingest/", {"token": token})

    run = Run.objects.get(command="reingest")
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert told(answer) == [f"Run {run.pk} is queued with 1 partition. Watch run {run.pk}"]
    shown = client.get(page).content.decode()
    assert f'href="/admin/pipeline/run/{run.pk}/change/"' in shown


def test_the_same_page_posted_twice_starts_one_run(partition: Partition) -> None:
    client = signed_in("Operator")
    token = token_in(client.get(f"{PARTITIONS}{partition.pk}/change/").content.decode())
    for _ in range(2):
        client.post(f"{PARTITIONS}{partition.pk}/do/reingest/", {"token": token})
    assert Run.objects.filter(command="reingest").count() == 1


def test_an_act_that_makes_no_sense_is_refused_with_the_reason(partition: Partition) -> None:
    client = signed_in("Operator")
    client.post(f"{PARTITIONS}{partition.pk}/do/reingest/")

    again = client.post(f"{PARTITIONS}{partition.pk}/do/reingest/")

    assert told(again)[-1].startswith(f"Refused: nothing to do. Passed over: {partition} (run ")
    assert OperatorLogEntry.objects.filter(outcome="REFUSED").count() == 1


def test_an_act_without_a_reason_to_ask_for_is_post_only(partition: Partition) -> None:
    assert signed_in("Operator").get(f"{PARTITIONS}{partition.pk}/do/reingest/").status_code == 405
    assert not Run.objects.filter(command="reingest").exists()


def test_a_forced_one_lists_what_is_concerned_and_asks_why(partition: Partition) -> None:
    client, page = signed_in("Operator"), f"{PARTITIONS}{partition.pk}/do/force-reingest/"
    asked = client.get(page).content.decode()
    assert f"<li>{partition}</li>" in asked
    assert "Your reason is kept with every capture made." in asked

    without = client.post(page, {"reason": "  ", "token": token_in(asked)}).content.decode()
    assert "This field is required." in without
    assert not Run.objects.filter(command="force_reingest").exists()

    client.post(page, {"reason": "FINRA called", "token": token_in(without)})
    run = Run.objects.get(command="force_reingest")
    assert (run.reason, run.requested_by, run.parameters["force"]) == ("FINRA called", "operator", True)


def selected(*partitions: Partition, action: str, **more: str) -> dict[str, object]:
    return {"action": action, "_selected_action": [str(one.pk) for one in partitions], "index": "0", **more}


def test_a_list_action_takes_what_is_selected(partition: Partition) -> None:
    client = signed_in("Operator")
    chosen = list(Partition.objects.filter(week_ending=WEEK).exclude(pk=partition.pk))
    token = token_in(client.get(PARTITIONS).content.decode())

    for _ in range(2):
        answer = client.post(PARTITIONS, selected(*chosen, action="reingest", token=token))

    run = Run.objects.get(command="reingest")
    assert {step.partition for step in run.partitions.all()} == set(chosen)
    assert told(answer)[-1] == f"Run {run.pk} is queued with 2 partitions. Watch run {run.pk}"


def test_a_list_action_that_needs_a_reason_asks_for_it_first(partition: Partition) -> None:
    client, chosen = signed_in("Operator"), list(Partition.objects.filter(week_ending=WEEK))
    asked = client.post(PARTITIONS, selected(*chosen, action="force-reingest")).content.decode()
    assert all(f"<li>{one}</li>" in asked for one in chosen)
    assert not Run.objects.filter(command="force_reingest").exists()

    client.post(PARTITIONS, selected(*chosen, action="force-reingest", reason="twice", token=token_in(asked)))

    assert Run.objects.get(command="force_reingest").partitions.count() == 3


def test_more_than_the_setting_allows_is_not_forced(partition: Partition, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_FORCED = 2
    chosen = Partition.objects.filter(week_ending=WEEK)
    answer = signed_in("Operator").post(PARTITIONS, selected(*chosen, action="force-reingest", reason="all of it"))
    assert told(answer) == [
        "Refused: 3 partitions are selected, and no more than 2 are forced at once (MARKETSPINE_MAX_FORCED)"
    ]


def test_a_viewer_is_offered_nothing_and_may_send_nothing(partition: Partition) -> None:
    client = signed_in("Viewer")
    for page in (PARTITIONS, f"{PARTITIONS}{partition.pk}/change/"):
        shown = client.get(page).content.decode()
        assert "ms-buttons" not in shown
        assert "Select action" not in shown
    before = Run.objects.count(), OperatorLogEntry.objects.count()
    client.post(PARTITIONS, selected(partition, action="reingest"))
    assert client.post(f"{PARTITIONS}{partition.pk}/do/force-reingest/", {"reason": "x"}).status_code == 403
    assert (Run.objects.count(), OperatorLogEntry.objects.count()) == before


def test_each_permission_opens_its_own_acts_only(partition: Partition) -> None:
    anomaly = Anomaly.objects.record(Category.INTERNAL, Severity.ERROR, "our own", partition=partition)
    user = User.objects.create_user("resolver", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    user.user_permissions.add(Group.objects.get(name="Operator").permissions.get(codename="can_resolve"))
    client = Client()
    client.force_login(user)

    client.post(f"/admin/pipeline/anomaly/{anomaly.pk}/do/resolve/", {"reason": "mended"})

    anomaly.refresh_from_db()
    assert (anomaly.resolved_by, anomaly.note) == ("resolver", "mended")
    assert client.post(f"{PARTITIONS}{partition.pk}/do/reingest/").status_code == 403
    assert client.post(f"{PARTITIONS}{partition.pk}/do/force-reingest/", {"reason": "x"}).status_code == 403


def test_a_reason_with_markup_is_shown_as_it_was_typed(partition: Partition) -> None:
    anomaly = Anomaly.objects.record(Category.INTERNAL, Severity.ERROR, "<b>our own</b>", partition=partition)
    client = signed_in("Operator")
    client.post(f"/admin/pipeline/anomaly/{anomaly.pk}/do/resolve/", {"reason": "<script>alert(1)</script>"})
    for page in (
        f"/admin/pipeline/anomaly/{anomaly.pk}/change/",
        "/admin/pipeline/anomaly/?resolved_at__isnull=False",
        "/admin/pipeline/operatorlogentry/",
        f"/admin/pipeline/operatorlogentry/{OperatorLogEntry.objects.latest('pk').pk}/change/",
    ):
        shown = client.get(page).content.decode()
        assert "<script>alert(1)" not in shown
        assert "<b>our own</b>" not in shown
