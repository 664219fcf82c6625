"""Every page of the admin that a link leads to: it logs nothing, asks nobody else, misses nothing, and can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.contrib import admin
from django.urls import resolve, reverse

from tests.browser import eventful
from tests.browser.browsing import Visitor
from tests.browser.conftest import Visits

# Where the walk begins: links lead to everything else.
FIRST = (reverse("admin:index"), reverse("admin:pipeline_backfill"))
# Kinds of which the events make none: their lists are walked, and tests/admin opens their pages.
EMPTY = {"clockedschedule", "solarschedule"}


def name_of(path: str) -> str:
    """The name of the page at an address: `admin:pipeline_run_change`."""
    return resolve(urlsplit(path).path).view_name


def links(visitor: Visitor) -> Iterator[str]:
    """The addresses on the page that are the product's, and pages."""
    anchors = visitor.page.locator("a[href]:not([download])")
    for found in anchors.evaluate_all("all => all.map(one => one.getAttribute('href'))"):
        there = urldefrag(urljoin(visitor.page.url, found)).url
        assert there.startswith(visitor.url), f"{visitor.page.url} links to {there}"
        if "/admin/" in there:
            yield there.removeprefix(visitor.url)


def walk(visitor: Visitor) -> Iterator[str]:
    """Open one page of each name that links lead to; the names, in the order in which they were found."""
    ahead = list(FIRST)
    seen: set[str] = set()
    while ahead:
        path = ahead.pop(0)
        name = name_of(path)
        if name not in seen:
            seen.add(name)
            visitor.open(path)
            visitor.settle()
            ahead += links(visitor)
            yield name


def expected() -> set[str]:
    """The pages that there must be: a list of each kind of thing, and a page of each that has one."""
    names = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    pages = {f"admin:{name}_change" for name in names if name.rpartition("_")[2] not in EMPTY}
    return {"admin:index", "admin:pipeline_backfill"} | {f"admin:{name}_changelist" for name in names} | pages


@pytest.mark.usefixtures("axe")
def test_every_page_is_whole_and_can_be_read_in_both_themes(visits: Visits, source_dir: Path) -> None:
    eventful.make(source_dir)
    names, found = set(), []
    with visits("root") as visitor:
        for name in walk(visitor):
            names.add(name)
            found += [f"{name}: {what}" for what in (*visitor.violations("light"), *visitor.violations("dark"))]
    assert found == []
    assert expected() - names == set()
