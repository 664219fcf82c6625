"""The analyst's pages: the figures of the readers, links between them, and what has no answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline import readers
from pipeline.admin.market.frame import Contents
from pipeline.admin.market.urls import PAGES
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = WEEK - timedelta(days=7)
LATER = "2025-12-26T12:30Z"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


@pytest.fixture
def viewer(ledger: Ledger) -> Client:
    """A Viewer's browser, over two weeks of which the newer was restated."""
    stored(
        [("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 2), ("BRK.B", "A firm", "9", 1)],
        NOON,
        key=KEY._replace(week_ending=BEFORE),
    )
    stored([("AAA", "UBSA", "50", 5), ("AAA", "SGMT", "150", 3), ("BRK.B", "A firm", "8", 1)], NOON)
    stored([("AAA", "UBSA", "100", 5), ("AAA", "SGMT", "300", 3), ("BRK.B", "A firm", "8", 1)], NOON + HOUR)
    user = User.objects.create_user("vera", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, address: str) -> Contents:
    """What a page shows."""
    answer = client.get(f"/admin/market/{address}")
    assert answer.status_code == HTTPStatus.OK, answer.content.decode()[-2000:]
    contents: Contents = answer.context["contents"]
    return contents


def table(contents: Contents, title: str) -> list[list[str]]:
    """A section's table, as text."""
    found = next(section for section in contents.sections if section.title.startswith(title))
    assert found.table is not None
    return [[cell.text for cell in line] for line in found.table.lines]


def column(contents: Contents, title: str, name: str) -> list[str]:
    """A column of a section's table."""
    found = next(section for section in contents.sections if section.title.startswith(title))
    assert found.table is not None
    at = [header.text for header in found.table.headers].index(name)
    return [line[at].text for line in found.table.lines]


def test_the_market_shows_what_the_readers_say_of_a_week(viewer: Client) -> None:
    contents = shown(viewer, "?tier=OTC")
    board = readers.venues(tier="OTC").frame

    assert column(contents, "Venues of week", "MPID") == board["mpid"].to_list() == ["SGMT", "UBSA", ""]
    assert column(contents, "Venues of week", "Share") == ["75.000 %", "25.000 %", "100.000 %"]
    assert column(contents, "Gained share", "Change, bp") == ["+3,500.0"]
    assert column(contents, "Lost share", "MPID") == ["UBSA"]
    assert contents.facts[0] == ("Week ending", WEEK.isoformat())


def test_the_market_as_it_was_known_before_the_restatement(viewer: Client) -> None:
    of_day = shown(viewer, f"?tier=OTC&as_of={LATER}")

    assert column(of_day, "Venues of week", "Shares a day") == ["30", "10", "2"]


def test_a_venue_has_its_share_as_first_published_beside_the_latest(viewer: Client) -> None:
    contents = shown(viewer, "venue/?mpid=SGMT&tier=OTC")
    share = next(section.chart for section in contents.sections if section.title == "Share")

    assert share is not None
    assert share.rows == [[BEFORE.isoformat(), "40.00 %", "40.00 %"], [WEEK.isoformat(), "75.00 %", "75.00 %"]]
    assert column(contents, "By week", "Rank") == ["1", "2"]
    assert column(contents, "Largest symbols", "Symbol") == ["AAA"]


def test_a_symbol_has_its_venues_and_every_version_of_its_rows(viewer: Client) -> None:
    contents = shown(viewer, "symbol/?symbol=AAA")

    assert column(contents, "By week", "ATS shares") == ["400", "100"]
    assert column(contents, "Venues, week ending", "MPID") == ["SGMT", "UBSA"]
    assert sorted(column(contents, "Every version", "Shares")) == ["100", "150", "300", "50"]


def test_another_spelling_of_a_symbol_is_found(viewer: Client) -> None:
    assert table(shown(viewer, "symbol/?symbol=BRK-B"), "Did you mean")[0][0] == "BRK.B"


def test_restatements_of_the_last_days_with_what_they_moved(viewer: Client) -> None:
    contents = shown(viewer, "restatements/")

    assert column(contents, "The feed", "Cause") == ["SOURCE"]
    assert column(contents, "The feed", "Gross change ratio") == ["96.154 %"]
    assert column(contents, "By symbol", "Gross change") == ["200"]
    assert column(contents, "By venue", "MPID") == ["SGMT", "UBSA"]


def test_a_week_at_two_instants(viewer: Client) -> None:
    contents = shown(viewer, f"compare/?week_ending={WEEK}&tier=OTC&a={LATER}")

    assert column(contents, "Rows", "Shares before") == ["150", "50"]
    assert column(contents, "Rows", "Shares after") == ["300", "100"]


def test_the_revision_profile_says_where_it_does_not_know(viewer: Client) -> None:
    contents = shown(viewer, "revisions/?tier=OTC")

    assert "too few verified weeks to say" in contents.sections[0].sentences[0]
    assert len(table(contents, "The triangle")) == 2
    assert table(contents, "By venue") == [], "no week is verified after 28 days"
    of_market = shown(viewer, "revisions/?tier=OTC&measure=rank_changes")
    assert next(one for one in of_market.sections if one.title.startswith("By venue")).sentences


@pytest.mark.parametrize(
    ("word", "leads_to"),
    [
        (WEEK.isoformat(), f"/admin/market/?week_ending={WEEK}"),
        ("BRK.B", "/admin/market/symbol/?symbol=BRK.B"),
        ("aaa", "/admin/market/symbol/?symbol=AAA"),
        ("sgmt", "/admin/market/venue/?mpid=SGMT"),
    ],
)
def test_a_word_that_names_one_thing_leads_to_its_page(viewer: Client, word: str, leads_to: str) -> None:
    assert viewer.get("/admin/market/search/", {"q": word}).headers["Location"] == leads_to


def test_a_word_that_may_mean_several_things_lists_them(viewer: Client) -> None:
    assert column(shown(viewer, "search/?q=firm"), "Venues", "Name") == ["A firm"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("?week_ending=2025-11-13", HTTPStatus.BAD_REQUEST),
        ("?as_of=2030-01-01", HTTPStatus.BAD_REQUEST),
        ("?as_of=2025-12-20&vintage=first", HTTPStatus.BAD_REQUEST),
        ("?colour=red", HTTPStatus.BAD_REQUEST),
        ("venue/?mpid=NOPE", HTTPStatus.NOT_FOUND),
    ],
)
def test_what_has_no_answer_says_why(viewer: Client, address: str, status: int) -> None:
    assert viewer.get(f"/admin/market/{address}").status_code == status


def test_every_link_and_download_of_the_pages_is_there(viewer: Client) -> None:
    """CSV, Parquet and API lead to the same answer at the API; every link of a table to a page."""
    asked = {"venue/": "?mpid=SGMT", "symbol/": "?symbol=AAA", "compare/": f"?week_ending={WEEK}&a={LATER}"}
    found: set[str] = set()
    for at in PAGES:
        page = viewer.get(f"/admin/market/{at}{asked.get(at, '')}").content.decode()
        found |= {link.replace("&amp;", "&") for link in re.findall(r'href="(/(?:api|admin/market)/[^"]*)"', page)}
    assert {link for link in found if "format=parquet" in link}
    wrong = {link: status for link in sorted(found) if (status := status_of(viewer, link)) != HTTPStatus.OK}
    assert wrong == {}


def status_of(client: Client, link: str) -> int:
    answer: Any = client.get(link)
    return int(answer.status_code)


def test_pages_are_for_those_who_may_see_the_figures(ledger: Ledger) -> None:
    client = Client()
    assert client.get("/admin/market/").status_code == HTTPStatus.FOUND
    client.force_login(User.objects.create_user("nils", is_staff=True))
    assert client.get("/admin/market/").status_code == HTTPStatus.FORBIDDEN
