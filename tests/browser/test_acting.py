"""Acts of an operator on the real product: a vintage forced and compared, a range backfilled and cancelled."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from django.urls import reverse
from playwright.sync_api import Page, expect

from pipeline.admin.shared.base import page_url
from pipeline.finra.calendar import PartitionKey, Tier, fully_due_weeks, market_today
from pipeline.models import Act, Capture, CaptureKind, OperatorLogEntry, Partition, PartitionStatus, Run, RunStatus
from tests.browser.conftest import Visits
from tests.management.calling import call
from tests.management.publications import publish, publish_week, restate, rows_of

REASON = "FINRA confirmed the correction"
LONG = 40  # weeks of a backfill that is under way for long enough to be cancelled


def test_a_forced_vintage_has_reason_and_comparison(visits: Visits, source_dir: Path) -> None:
    partition = captured_and_restated(source_dir)
    with visits("operator") as visitor:
        visitor.open(page_url(partition))
        force(visitor.page)
        visitor.open(page_url(partition))
        expect(visitor.page.get_by_role("listitem").filter(has_text="Version 2:")).to_contain_text(REASON)
        visitor.page.get_by_role("link", name=Capture.objects.get(version=2).capture_id).first.click()
        visitor.page.get_by_role("link", name="What changed since version 1").click()
        expect(visitor.page.get_by_role("row")).to_have_count(2)  # the head, and what was restated
        changed = visitor.page.get_by_role("row").last.get_by_role("cell").all_inner_texts()
        before = Decimal(rows_of(partition.week_ending)[0][2])
        assert changed[1:8] == ["AAPL AAPL Inc", "UBSA", str(before), "101", f"+{101 - before}", "3", "3"]
    forced = Capture.objects.get(version=2)
    assert (forced.kind, forced.requested_by, forced.request_reason) == (CaptureKind.FORCED, "operator", REASON)


def captured_and_restated(folder: Path) -> Partition:
    """A partition that is captured, and of which the source has another vintage by now."""
    key = PartitionKey(fully_due_weeks(1, market_today())[0], Tier.OTC)
    publish(folder, key)
    call("run_weekly", "--weeks", key.week_ending, "--tiers", key.tier)
    restate(folder, key)
    return Partition.objects.get()


def force(page: Page) -> None:
    """From a partition's page: give the reason, and watch the run until it has succeeded."""
    page.get_by_role("link", name="Force re-ingest").click()
    page.get_by_role("button", name="Force re-ingest").click()
    expect(page.get_by_label("Reason")).to_be_focused()  # the browser asks for what is required
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Force re-ingest").click()
    page.get_by_role("link", name="Watch run 2").click()
    expect(page.get_by_text("succeeded").first).to_be_visible()


def test_a_range_is_backfilled_as_planned_and_cancelled(visits: Visits, source_dir: Path) -> None:
    weeks = fully_due_weeks(LONG, market_today())
    for week in weeks:
        publish_week(source_dir, week)
    with visits("operator") as visitor:
        page = visitor.page
        visitor.open(reverse("admin:pipeline_backfill"))
        page.get_by_label("From week ending").fill(weeks[-1].isoformat())
        page.get_by_label("To week ending").fill(weeks[0].isoformat())
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_role("heading", name=f"The plan: {3 * LONG} of {3 * LONG} partitions")).to_be_visible()
        assert Run.objects.count() == 0, "showing a plan writes nothing"
        page.get_by_role("button", name="Start this plan").dblclick()
        expect(page.get_by_text(f"Run 1 is queued with {3 * LONG} partitions.").first).to_be_visible()
        page.get_by_role("link", name="Cancel run").click()
        page.get_by_label("Reason").fill("the wrong range")
        page.get_by_role("button", name="Cancel run").click()
        expect(
            page.get_by_text(re.compile(r"Run 1 is cancelled: \d+ partitions will not be started")).first
        ).to_be_visible()
        expect(page.locator("#run-live")).to_have_attribute("data-state", RunStatus.CANCELLED)
    run = Run.objects.get()
    assert (run.status, run.cancelled_by, run.cancel_reason) == (RunStatus.CANCELLED, "operator", "the wrong range")
    assert set(run.partitions.values_list("status", flat=True)) == {PartitionStatus.DONE}
    acts = OperatorLogEntry.objects.order_by("pk").values_list("act", "operator")
    assert [*acts] == [(Act.BACKFILL, "operator"), (Act.CANCEL_RUN, "operator")]
