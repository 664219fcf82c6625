"""The keyboard alone: it reaches everything that can be pressed, what has the focus shows it, and an act needs no mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from pipeline.admin.shared.base import page_url
from pipeline.finra.calendar import PartitionKey, Tier, fully_due_weeks, market_today
from pipeline.models import Anomaly, Capture, Partition, Run
from tests.browser import eventful
from tests.browser.conftest import Visits
from tests.management.calling import call
from tests.management.publications import publish

MOST_STOPS = 400

# What the focus is on, and whether that looks different, or what encloses it, from the same without the focus.
# A date is one thing with several stops. The end is the page's, or what was reached before.
FOCUSED = """() => {
  const focused = document.activeElement;
  if (focused === document.body) return {end: true};
  if (reached.has(focused)) return {end: focused !== last};
  const look = (one) => {
    const style = getComputedStyle(one);
    const outline = style.outlineStyle === "none" ? "" : style.outlineWidth + style.outlineColor;
    return [outline, style.boxShadow, style.borderColor, style.backgroundColor, style.color, style.textDecoration].join();
  };
  const around = [focused, focused.parentElement, focused.parentElement.parentElement].filter(Boolean);
  const looks = () => around.map(look).join(" / ");
  const lit = looks();
  focused.blur();
  const unlit = looks();
  focused.focus();
  reached.add(focused);
  last = focused;
  return {unseen: lit === unlit ? focused.outerHTML.slice(0, 200) : ""};
}"""
UNREACHED = r"""() => {
  const pressable = "a[href], button, input, select, textarea, summary, [role=button], [onclick], [x-on\\:click]";
  const grouped = (one) => one.type === "radio" && [...reached].some((other) => other.name === one.name);
  return [...document.querySelectorAll(pressable)]
    .filter((one) => one.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !one.disabled)
    .filter((one) => one.type !== "hidden" && !reached.has(one) && !grouped(one))
    .map((one) => one.outerHTML.slice(0, 200));
}"""


def unseen_stops(page: Page) -> Iterator[str]:
    """Go round the page with the Tab key; what has the focus and does not show it."""
    page.evaluate("window.reached = new Set(), window.last = null")
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop.get("end"):
            return
        if stop.get("unseen"):
            yield f"{page.url}: does not show the focus: {stop['unseen']}"
    raise AssertionError(f"{page.url}: the Tab key finds no end")


def pages() -> Iterator[str]:
    """Pages of each kind: the grid, lists with filters, objects with acts, forms."""
    yield reverse("admin:index")
    yield reverse("admin:pipeline_anomaly_changelist")
    yield page_url(Anomaly.objects.open()[0])
    yield page_url(Partition.objects.filter(newest_version=2)[0])
    yield reverse("admin:pipeline_partition_force_reingest", args=[Partition.objects.latest("pk").pk])
    yield page_url(Capture.objects.filter(version=2)[0])
    yield page_url(Run.objects.latest("pk"))
    yield reverse("admin:pipeline_backfill")


def test_the_tab_key_reaches_everything_and_shows_it(visits: Visits, source_dir: Path) -> None:
    eventful.make(source_dir)
    found: list[str] = []
    with visits("operator") as visitor:
        for path in pages():
            visitor.open(path)
            visitor.settle()
            found += unseen_stops(visitor.page)
            found += [f"{path}: not reached: {what}" for what in visitor.page.evaluate(UNREACHED)]
    assert found == []


def test_a_partition_is_ingested_again_without_a_mouse(visits: Visits, source_dir: Path) -> None:
    key = PartitionKey(fully_due_weeks(1, market_today())[0], Tier.OTC)
    publish(source_dir, key)
    call("run_weekly", "--weeks", key.week_ending, "--tiers", key.tier)
    with visits("operator") as visitor:
        visitor.open(page_url(Partition.objects.get()))
        press(visitor.page, "Re-ingest")
        expect(visitor.page.get_by_role("link", name="Watch run 2")).to_be_visible()


def press(page: Page, name: str) -> None:
    """Go to a button with the Tab key, and press Enter there."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText || ''").endswith(name):
            page.keyboard.press("Enter")
            return
    pytest.fail(f"the Tab key does not reach {name!r}")
