"""Signing in: nothing is seen before, and the page for it can be read."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Visitor
from tests.browser.conftest import Visits
from tests.browser.product import PASSWORD


def test_signing_in_and_out_work(visits: Visits) -> None:
    with visits("viewer") as visitor:
        expect(visitor.page).to_have_title(re.compile("Market Spine"))
        visitor.page.get_by_text("viewer", exact=True).click()
        visitor.page.get_by_role("button", name="Log out").click()
        visitor.open("/admin/pipeline/run/")
        expect(visitor.page).to_have_url(re.compile(r"/admin/login/\?next=/admin/pipeline/run/$"))


@pytest.mark.usefixtures("axe")
def test_the_page_to_sign_in_and_its_refusal_can_be_read(visits: Visits) -> None:
    with visits("viewer") as visitor:
        visitor.page.context.clear_cookies()
        visitor.open("/admin/login/")
        asked = both_themes(visitor)
        visitor.page.get_by_label("Username").fill("viewer")
        visitor.page.get_by_label("Password").fill(f"not {PASSWORD}")
        visitor.page.get_by_role("button", name="Log in").click()
        expect(visitor.page.get_by_text("Please enter the correct username and password")).to_be_visible()
        assert asked + both_themes(visitor) == []


def both_themes(visitor: Visitor) -> list[str]:
    """What axe finds on the page, light and dark."""
    visitor.settle()
    return [*visitor.violations("light"), *visitor.violations("dark")]
