"""On a phone, a tablet and a desk, light and dark: nothing lies outside its page, nothing is cut, no number breaks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from playwright.sync_api import TimeoutError as NeverSo

from tests.browser import eventful
from tests.browser.browsing import Theme, Visitor
from tests.browser.conftest import Visits
from tests.browser.test_every_page import expected, walk

WIDTHS = (390, 1024, 1440)
CHARTS_FIT = (
    "[...document.querySelectorAll('canvas.chart')].every(chart => chart.getBoundingClientRect().right <= innerWidth)"
)
LOOK = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")


def faults(visitor: Visitor, width: int) -> list[str]:
    """What is wrong with the page at this width, in either theme."""
    visitor.page.set_viewport_size({"width": width, "height": 1000})
    with suppress(NeverSo):  # charts take up the new width when they are drawn again; one that never does is told below
        visitor.page.wait_for_function(CHARTS_FIT, timeout=5_000)
    found: list[str] = []
    themes: tuple[Theme, ...] = ("light", "dark")
    for theme in themes:
        visitor.wear(theme)
        found += [f"{width} {theme}: {told}" for told in visitor.page.evaluate(LOOK)]
    return found


def test_every_page_fits_at_three_widths_in_both_themes(visits: Visits, source_dir: Path) -> None:
    eventful.make(source_dir)
    names, found = set(), []
    with visits("root") as visitor:
        for name in walk(visitor):
            names.add(name)
            found += [f"{name}: {told}" for width in WIDTHS for told in faults(visitor, width)]
            visitor.page.set_viewport_size({"width": 1440, "height": 1000})
    assert found == []
    assert expected() - names == set()
