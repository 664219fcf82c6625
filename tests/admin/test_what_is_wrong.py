"""Five things broken at once: each is found on the dashboard, and mended from there with as few clicks as can be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier, fully_due_weeks, look_back, market_today
from pipeline.models import Anomaly, Category, Partition, Readiness, Severity
from tests.admin.vintages import signed_in
from tests.management.calling import call
from tests.management.publications import publish
from tests.support.engines import Ledger

ERROR_PAGE = b"<html>down</html>"
ACTION = "/admin/pipeline/partition/"


@pytest.fixture
def broken(ledger: Ledger, source_dir: Path, settings: Settings) -> list[PartitionKey]:
    """Two weeks are captured; then four files are wrong, and an anomaly waits for a person."""
    settings.MARKETSPINE_LOOKBACK_WEEKS = 2
    today = market_today()
    for week in look_back(2, today):
        for tier in Tier:
            publish(source_dir, PartitionKey(week, tier))
    assert call("run_weekly").code == 0
    newest, older = fully_due_weeks(2, today)
    wrong = [PartitionKey(week, tier) for week in (newest, older) for tier in (Tier.NMS_TIER_1, Tier.OTC)]
    for key in wrong:
        publish(source_dir, key, ERROR_PAGE)
    partition = Partition.objects.get(week_ending=newest, tier=Tier.NMS_TIER_2)
    Anomaly.objects.record(Category.UNRECONCILED, Severity.ERROR, "3 symbols do not add up", partition=partition)
    assert call("run_weekly").code == 1
    return wrong


def dashboard(client: Client) -> str:
    return client.get(reverse("admin:index")).content.decode()


def wrong_in(page: str) -> list[str]:
    """Where something is wrong, as the list has it."""
    _, _, rest = page.partition('id="wrong-title"')
    return re.findall(r">(\d{4}-\d\d-\d\d \w+)</a>", rest.partition('id="grid-title"')[0])


def test_the_dashboard_lists_all_that_is_wrong(broken: list[PartitionKey]) -> None:
    page = dashboard(signed_in("Operator"))
    unreconciled = Anomaly.objects.get(category=Category.UNRECONCILED).partition
    assert sorted(wrong_in(page)) == sorted(map(str, [*broken, unreconciled]))
    assert "Re-ingest all 4" in page


def test_four_failures_are_mended_with_one_click_and_a_judgement_with_two(
    broken: list[PartitionKey], source_dir: Path
) -> None:
    operator = signed_in("Operator")
    page = dashboard(operator)
    for key in broken:
        publish(source_dir, key)
    form = page[page.index('id="wrong-title"') :].partition("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(value)

    operator.post(ACTION, fields)
    call("recover_runs")
    assert len(wrong_in(dashboard(operator))) == 1

    resolving = reverse("admin:pipeline_anomaly_resolve", args=[Anomaly.objects.open().get().pk])
    assert resolving in dashboard(operator)
    assert operator.get(resolving).status_code == 200
    operator.post(resolving, {"reason": "FINRA was in the midst of a restatement", "token": "a-token"})
    assert wrong_in(dashboard(operator)) == []
    assert call("doctor").code == 0


def test_a_week_that_was_left_halfway_is_mended_with_one_click(ledger: Ledger, source_dir: Path) -> None:
    [week] = fully_due_weeks(1, market_today())
    for tier in Tier:
        publish(source_dir, PartitionKey(week, tier))
    call("run_weekly", "--weeks", week)
    trading = Readiness.objects.get(week_ending=week, use="trading")
    operator = signed_in("Operator")
    recompute = reverse("admin:pipeline_readiness_recompute", args=[trading.pk])
    assert recompute not in dashboard(operator)

    Readiness.objects.block(week, "a capture was made, and its worker was killed")
    page = dashboard(operator)
    assert recompute in page
    assert "its readiness is not judged by what the ledger says now" in page
    operator.post(recompute, {"token": "a-token"})
    assert recompute not in dashboard(operator)  # a run is at it
    call("recover_runs")
    trading.refresh_from_db()
    assert trading.state == "READY"
    assert recompute not in dashboard(operator)


def test_a_viewer_sees_what_is_wrong_and_no_button(broken: list[PartitionKey]) -> None:
    page = dashboard(signed_in("Viewer"))
    assert len(wrong_in(page)) == 5
    section = page[page.index('id="wrong-title"') : page.index('id="grid-title"')]
    assert "<button" not in section
    assert "/do/" not in section
