"""The analyst's pages of a venue and a symbol that are there: they can be read, fit, and need no mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.finra import samples
from pipeline.finra.calendar import last_fridays, market_today
from pipeline.models import VenueVolume
from pipeline.readers import symbol_leaders
from tests.browser.browsing import Visitor
from tests.browser.conftest import Visits
from tests.browser.test_keyboard import UNREACHED, unseen_stops
from tests.browser.test_layout import faults
from tests.management.calling import call

PHONE = 390
WEEKS = 2


def two_weeks(folder: Path) -> None:
    """Captured, and then restated in part."""
    samples.publish(folder, weeks=last_fridays(WEEKS + 5, market_today()), seed=7, size=samples.Size.SMALL)
    call("run_weekly", "--lookback-weeks", WEEKS)
    samples.restate(folder, seed=2, share=0.4)
    call("run_weekly", "--lookback-weeks", WEEKS)


def pages() -> list[str]:
    """The largest ATS, and a symbol beside what was first published: the walk opens the market, and these without either."""
    mpid = VenueVolume.objects.filter(venue_kind="ATS", rank=1)[0].mpid
    symbol = symbol_leaders(top=1, venue_kind="ATS").frame["symbol"][0]
    return [
        f"/admin/market/venue/?mpid={mpid}",
        f"/admin/market/symbol/?symbol={symbol}&against=first",
    ]


@pytest.mark.usefixtures("axe")
def test_the_analysts_pages_can_be_read_fit_and_need_no_mouse(visits: Visits, source_dir: Path) -> None:
    two_weeks(source_dir)
    found: list[str] = []
    with visits("viewer") as visitor:
        for path in pages():
            visitor.open(path)
            visitor.settle()
            found += [f"{path}: {told}" for told in faults(visitor, PHONE)]
            found += [f"{path}: {what}" for what in (*visitor.violations("light"), *visitor.violations("dark"))]
        visitor.wear("light")
        found += [*unseen_stops(visitor.page), *visitor.page.evaluate(UNREACHED)]
        opens_an_entry(visitor)
        copies_its_link(visitor)
    assert found == []


def opens_an_entry(visitor: Visitor) -> None:
    """The question mark beside a measure opens what the dictionary says of it, and Escape closes that."""
    asks = visitor.page.get_by_role("button", name="What is HHI of ATSs?").first
    asks.focus()
    visitor.page.keyboard.press("Enter")
    entry = visitor.page.get_by_role("dialog", name="HHI of ATSs", exact=True)
    expect(entry).to_contain_text("symbol_history.hhi_ats")
    visitor.page.keyboard.press("Escape")
    expect(entry).to_be_hidden()


def copies_its_link(visitor: Visitor) -> None:
    """The address as it stays for ever names the instant."""
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.page.get_by_role("button", name="Copy link as known now").click()
    expect(visitor.page.get_by_role("status")).to_have_text("Copied")
    assert "&as_of=20" in visitor.page.evaluate("navigator.clipboard.readText()")
