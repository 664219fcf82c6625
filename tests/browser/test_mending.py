"""A Monday morning: what is wrong is found in the grid, understood, captured again or resolved, and may be used."""

from __future__ import annotations

import re
from pathlib import Path

from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from pipeline.admin.shared.base import page_url
from pipeline.finra.calendar import PartitionKey, Tier, due_date, fully_due_weeks, market_today
from pipeline.models import Anomaly, Capture, Category, Partition, Readiness, ReadinessState, RunStatus
from pipeline.models.anomaly import MARKETSPINE
from tests.browser.conftest import Visits
from tests.browser.eventful import ERROR_PAGE
from tests.management.calling import call
from tests.management.publications import content, publish, publish_week

BLOCKED, PROVISIONAL, READY = (re.compile(f"{word}$") for word in ("blocked", "provisional", "ready"))  # after an icon
NOTE = "one line of FINRA's file is not a row"


def test_a_failed_partition_is_mended_and_its_week_turns_ready(visits: Visits, source_dir: Path) -> None:
    key = a_week_with_an_error_page(source_dir)
    partition = Partition.objects.get(week_ending=key.week_ending, tier=key.tier)
    with visits("operator") as visitor:
        page = visitor.page
        expect(cell(page, partition)).to_contain_text("failed")
        expect(verdicts(page, key)).to_have_text([BLOCKED, BLOCKED, BLOCKED])
        cell(page, partition).click()
        read_the_anomaly(page)
        publish(source_dir, key)
        page.locator("#content").get_by_role("link", name=str(partition)).click()
        ingest_again(page)

        visitor.open(reverse("admin:index"))
        expect(cell(page, partition)).to_contain_text("captured")
        expect(verdicts(page, key)).to_have_text([READY, READY, READY])
    assert set(Readiness.objects.values_list("state", flat=True)) == {ReadinessState.READY}
    ended = Anomaly.objects.get()
    assert (ended.category, ended.resolved_by) == (Category.UNREADABLE, MARKETSPINE)
    assert ended.note == f"run 2: captured as {Capture.objects.get(partition=partition).capture_id}"


def test_a_rejected_line_is_resolved_and_its_week_turns_ready(visits: Visits, source_dir: Path) -> None:
    key = a_week_with_a_rejected_line(source_dir)
    with visits("operator") as visitor:
        page = visitor.page
        expect(verdicts(page, key)).to_have_text([PROVISIONAL, PROVISIONAL, PROVISIONAL])
        verdicts(page, key).first.click()
        resolve(page)

        visitor.open(reverse("admin:index"))
        expect(verdicts(page, key)).to_have_text([READY, READY, READY])
    assert set(Readiness.objects.values_list("state", flat=True)) == {ReadinessState.READY}
    resolved = Anomaly.objects.get()
    assert (resolved.category, resolved.resolved_by, resolved.note) == (Category.REJECTED_ROWS, "operator", NOTE)


def a_week_with_an_error_page(folder: Path) -> PartitionKey:
    """A week of which two tiers are captured, and the third is an error page; the third."""
    key = PartitionKey(fully_due_weeks(1, market_today())[0], Tier.OTC)
    publish_week(folder, key.week_ending)
    publish(folder, key, ERROR_PAGE)
    call("run_weekly", "--weeks", key.week_ending)
    return key


def a_week_with_a_rejected_line(folder: Path) -> PartitionKey:
    """A week that is captured, but for one line of its third tier; the third."""
    key = PartitionKey(fully_due_weeks(1, market_today())[0], Tier.OTC)
    publish_week(folder, key.week_ending)
    good = tuple((f"SYM{number:02}", "UBSA", str(100 + number), 1) for number in range(20))
    rows = (*good, ("BAD", "UBSA", "many", 1))
    publish(folder, key, content(key, rows, updated=due_date(key.tier, key.week_ending)))
    call("run_weekly", "--weeks", key.week_ending)
    return key


def cell(page: Page, partition: Partition) -> Locator:
    """The partition's cell in the grid of weeks and tiers."""
    return page.locator(f"a.ms-cell[href='{page_url(partition)}']")


def verdicts(page: Page, key: PartitionKey) -> Locator:
    """Whether the week may be used, in the grid: for trading, compliance, research."""
    return page.get_by_role("row").filter(has_text=key.week_ending.isoformat()).locator("a[href*='/readiness/']")


def read_the_anomaly(page: Page) -> None:
    """From the partition's page to what went wrong, and what to do about it."""
    page.get_by_role("link", name="UNREADABLE").click()
    expect(page.locator("#content")).to_contain_text("this is an HTML or XML page, not a pipe-separated file")
    expect(page.get_by_role("heading", name="What to do next")).to_be_visible()


def ingest_again(page: Page) -> None:
    """From the partition's page: start a run, and watch it to its end without loading the page again."""
    page.get_by_role("button", name="Re-ingest").click()
    page.get_by_role("link", name="Watch run 2").click()
    expect(page.locator("#run-live")).to_have_attribute("data-state", RunStatus.SUCCEEDED)
    expect(page.get_by_role("row").filter(has_text="OTC").first).to_contain_text("ingested")


def resolve(page: Page) -> None:
    """From the verdict to what blocks it; resolve that, with a note."""
    page.locator("#content").get_by_role("link", name=re.compile("REJECTED_ROWS")).first.click()
    page.get_by_role("link", name="Resolve anomaly").click()
    page.get_by_label("Reason").fill(NOTE)
    page.get_by_role("button", name="Resolve anomaly").click()
    expect(page.get_by_text(NOTE).first).to_be_visible()
