"""The backfill form: it shows a plan, and starts that plan or none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline import operations
from pipeline.models import OperatorLogEntry, Partition, Run
from pipeline.operations import Order
from pipeline.runs.request import Request
from tests.management.publications import DAY, OLDER_WEEK, OTC, WEEK, publish, publish_week
from tests.support.engines import Ledger

FORM = "/admin/pipeline/run/backfill/"
RANGE: dict[str, Any] = {
    "first": str(OLDER_WEEK),
    "last": str(WEEK),
    "tiers": ["OTC", "NMS_TIER_1"],
    "only": "all",
    "reason": "a new desk",
}


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    """It is noon in New York, DAY."""
    with time_machine.travel(datetime(DAY.year, DAY.month, DAY.day, 17, tzinfo=UTC)):
        yield


@pytest.fixture
def client(ledger: Ledger, source_dir: Path) -> Client:
    """An operator's browser; a week is published, and the one before is not."""
    publish_week(source_dir)
    user = User.objects.create_user("olive", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client = Client()
    client.force_login(user)
    return client


def plan_shown(client: Client, **changes: Any) -> tuple[list[list[str]], dict[str, Any]]:
    """The rows of the plan that the page shows, and what its button sends."""
    page = client.get(FORM, {**RANGE, **changes}).content.decode()
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", page, re.S)
    sent = dict(re.findall(r'<input type="hidden" name="(token|digest)" value="([^"]*)"', page))
    plain = [[re.sub(r"<span.*?</span>|<[^>]+>", "", cell).strip() for cell in row] for row in rows]
    return plain, {**RANGE, **changes, **sent}


def test_the_plan_is_what_the_command_would_print(client: Client) -> None:
    rows, _ = plan_shown(client)
    assert rows == [
        ["2025-11-14", "NMS_TIER_1", "ingest", "first capture"],
        ["2025-11-14", "OTC", "ingest", "first capture"],
        ["2025-11-07", "NMS_TIER_1", "ingest", "due since 2025-11-24, not there: late"],
        ["2025-11-07", "OTC", "ingest", "due since 2025-12-08, not there: late"],
    ]
    assert not Run.objects.exists()
    assert not OperatorLogEntry.objects.exists()


def test_what_was_shown_is_what_is_started(client: Client) -> None:
    _, sent = plan_shown(client)

    answer = client.post(FORM, sent)

    run = Run.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/pipeline/run/{run.pk}/change/")
    assert [str(step.partition) for step in run.partitions.all()] == [
        "2025-11-14 NMS_TIER_1",
        "2025-11-14 OTC",
        "2025-11-07 NMS_TIER_1",
        "2025-11-07 OTC",
    ]
    assert (run.command, run.requested_by, run.reason, run.trigger) == ("backfill", "olive", "a new desk", "ADMIN")
    assert Request.from_parameters(run.parameters).weeks == (WEEK, OLDER_WEEK)
    entry = OperatorLogEntry.objects.get()
    assert (entry.act, entry.run, entry.reason) == ("BACKFILL", run, "a new desk")


def test_a_double_click_starts_one_run(client: Client) -> None:
    _, sent = plan_shown(client)
    answers = [client.post(FORM, sent) for _ in range(2)]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert Run.objects.count() == 1


def test_a_plan_that_has_changed_is_shown_again_and_not_started(client: Client) -> None:
    _, sent = plan_shown(client)
    other = operations.reingest([Partition.objects.create(week_ending=WEEK, tier="OTC")], Order(operator="otto"))

    page = client.post(FORM, sent).content.decode()

    assert "The plan has changed since it was shown. This is the plan now: nothing was started." in page
    assert f"run {other.run_id} has it in flight" in page
    assert list(Run.objects.all()) == [other.run]


def test_a_digest_of_ones_own_starts_nothing(client: Client) -> None:
    _, sent = plan_shown(client)
    client.post(FORM, {**sent, "digest": "0" * 64})
    client.post(FORM, {**sent, "last": str(OLDER_WEEK)})
    assert not Run.objects.exists()


def test_only_the_missing_are_planned_when_only_they_are_wanted(client: Client) -> None:
    client.post(FORM, plan_shown(client, first=str(WEEK), tiers=["OTC"])[1])
    rows, _ = plan_shown(client, first=str(WEEK))
    assert [row[2] for row in rows] == ["ingest", "skip"]
    assert f"run {Run.objects.get().pk} has it in flight" in rows[1][3]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"first": "2025-11-06"}, "2025-11-06 is a Thursday; did you mean 2025-10-31 or 2025-11-07?"),
        ({"first": "last week"}, "is not a date; write a week ending as YYYY-MM-DD"),
        ({"last": "2026-01-02"}, "the week ending 2026-01-02 is still to come"),
        ({"first": str(WEEK), "last": str(OLDER_WEEK)}, "the range is empty: 2025-11-14 is after 2025-11-07"),
        ({"first": "2015-01-02"}, "weeks are more than 520: backfill in parts"),
        ({"tiers": []}, "This field is required."),
        ({"tiers": ["OTC", "NASDAQ"]}, "NASDAQ is not one of the available choices"),
        ({"only": "some"}, "some is not one of the available choices"),
        ({"reason": "x" * 2001}, "Ensure this value has at most 2000 characters"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_what_is_wrong(
    client: Client, changes: dict[str, Any], told: str
) -> None:
    page = client.get(FORM, {**RANGE, **changes}).content.decode()
    assert told in page.replace("&#x27;", "'")
    assert "Start this plan" not in page


def test_a_source_that_cannot_be_asked_stops_no_plan(client: Client, source_dir: Path) -> None:
    for file in source_dir.iterdir():
        file.unlink()
    source_dir.rmdir()
    page = client.get(FORM, RANGE).content.decode()
    assert "The source could not be asked what it has:" in page
    assert "Start this plan" in page


def test_what_is_typed_comes_back_escaped(client: Client, source_dir: Path) -> None:
    publish(source_dir, OTC)
    page = client.get(FORM, {**RANGE, "reason": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
