"""The dashboard, as a person gets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pipeline.finra.calendar import fully_due_weeks, market_today
from pipeline.models import Partition
from tests.management.calling import call
from tests.management.publications import publish_week
from tests.support.engines import Begin, Ledger


def signed_in(role: str = "") -> Client:
    """A browser of somebody with a role."""
    user = User.objects.create_user(f"a-{role}", is_staff=True)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def captured(begin: Begin) -> None:
    """The newest week of which everything is due is captured."""
    begin(newest_week)


def newest_week(source_dir: Path) -> None:
    (week,) = fully_due_weeks(1, market_today())
    publish_week(source_dir, week)
    assert call("backfill", "--weeks", week).code == 0


def test_a_fresh_install_says_what_to_do(ledger: Ledger) -> None:
    page = signed_in("Viewer").get("/admin/").content.decode()
    assert "Nothing has run yet" in page
    assert "python manage.py run_weekly" in page
    assert "Beat has never sent anything" in page
    assert page.count("Nothing to draw yet") == 4
    assert "Backfill a range" not in page
    assert "backfill a range of weeks" in signed_in("Operator").get("/admin/").content.decode()


def test_cells_lead_to_their_partitions_and_say_more_on_hover(captured: None) -> None:
    page = signed_in("Viewer").get("/admin/").content.decode()
    for partition in Partition.objects.all():
        cell = re.search(
            rf'<a class="ms-cell [^"]*" href="/admin/pipeline/partition/{partition.pk}/change/" title="([^"]*)"', page
        )
        assert cell, partition
        assert str(partition) in cell[1]
        assert f"{partition.latest}, version 1, captured just now" in cell[1]


def test_what_was_never_captured_links_to_the_plan(captured: None) -> None:
    older = fully_due_weeks(2, market_today())[1]
    one = f"/admin/pipeline/run/backfill/?first={older}&amp;last={older}&amp;tiers=OTC&amp;only=all&amp;reason="
    client = signed_in("Operator")
    page = client.get("/admin/").content.decode()
    assert f'href="{one}"' in page
    assert "Start this plan" in client.get(one.replace("&amp;", "&")).content.decode()
    everything = re.search(r'href="([^"]*only=missing[^"]*)"', page)
    assert everything
    plan = client.get(everything[1].replace("&amp;", "&")).content.decode()
    missing = re.search(r'ms-four-bad">(\d+) <small>', page)
    assert missing
    assert f"The plan: {missing[1]} of" in plan
    assert "/backfill/" not in signed_in("Viewer").get("/admin/").content.decode()


def test_the_charts_carry_their_figures_as_tables_too(captured: None) -> None:
    page = signed_in("Viewer").get("/admin/")
    charts = [chart for _, _, chart in page.context["charts"]]
    assert [chart.kind for chart in charts] == ["bar", "line", "bar", "bar"]
    shares = json.loads(charts[0].value)
    assert [one["label"] for one in shares["datasets"]] == ["UBSA", "SGMT"]
    assert charts[0].headers == ["Week", "UBSA", "SGMT"]
    assert sum(value != "-" for row in charts[0].rows for value in row[1:]) == 2
    bands = json.loads(charts[1].value)["datasets"][-2:]
    assert [set(band["data"]) for band in bands] == [{1000}, {1800}]


def test_who_has_no_role_is_told_to_ask_for_one(ledger: Ledger) -> None:
    page = signed_in().get("/admin/").content.decode()
    assert "ask an administrator for a role" in page
    assert "Weeks usable" not in page


def test_the_dashboard_asks_a_bounded_number_of_questions(captured: None, source_dir: Path) -> None:
    client = signed_in("Operator")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get("/admin/")
        return len(asked)

    before = queries()
    for week in fully_due_weeks(3, market_today()):
        publish_week(source_dir, week)
        call("backfill", "--weeks", week)
    assert queries() == before <= 40
