"""The dashboard follows what happens, without a reload."""

from __future__ import annotations

from pathlib import Path

from django.urls import reverse
from playwright.sync_api import expect

from pipeline.finra.calendar import Tier, fully_due_weeks, market_today
from pipeline.models import Partition
from tests.browser.conftest import Visits
from tests.browser.test_mending import cell
from tests.management.calling import call
from tests.management.publications import publish_week

A_LOOK = 10_001  # milliseconds


def test_a_week_captured_meanwhile_turns_ready_on_the_dashboard_that_is_open(visits: Visits, source_dir: Path) -> None:
    (week,) = fully_due_weeks(1, market_today())
    with visits("viewer") as visitor:
        page = visitor.page
        page.clock.install()
        visitor.open(reverse("admin:index"))
        page.evaluate("document.body.dataset.loaded = 'once'")
        expect(page.locator(".ms-grid")).not_to_contain_text("captured")

        publish_week(source_dir, week)
        assert call("backfill", "--weeks", week).code == 0
        page.clock.run_for(A_LOOK)

        partition = Partition.objects.get(week_ending=week, tier=Tier.OTC)
        expect(cell(page, partition)).to_contain_text("captured")
        expect(page.locator("body[data-loaded=once]")).to_have_count(1)
