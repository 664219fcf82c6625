"""The address of an analyst's page is the whole of it, and its files have the rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.test import Client

from pipeline.admin.market import market
from pipeline.admin.market.frame import Contents
from pipeline.admin.market.urls import PAGES
from tests.admin.market_tables import lines_of, records_of, source_of, tables_of
from tests.api.asking import body
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = WEEK - timedelta(days=7)
LATER, NOW = "2025-12-26T12:30:00Z", "2025-12-26T13:30:00Z"
FIRMS = [("AAA", f"Firm {number}", f"{number}.5", number) for number in range(1, 31)]
ADDRESSES = {
    "": {"week_ending": str(WEEK), "tier": "OTC", "venue_kind": "NON_ATS", "weeks": "26", "as_of": LATER},
    "venue/": {"mpid": "SGMT", "tier": "OTC", "weeks": "52", "as_of": NOW},
    "symbol/": {"symbol": "BRK.B", "weeks": "all", "week_ending": str(BEFORE), "vintage": "first"},
    "restatements/": {"from_day": "2025-12-26", "to_day": "2025-12-26", "tier": "OTC", "cause": "SOURCE"},
    "revisions/": {"measure": "rank_changes", "tier": "OTC", "venue_kind": "ATS"},
    "compare/": {"week_ending": str(WEEK), "tier": "OTC", "a": LATER, "b": NOW},
}


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


@pytest.fixture
def _ledger(ledger: Ledger) -> None:
    """Two weeks, the newer of them restated, with more venues than a page shows."""
    stored([("AAA", "SGMT", "40", 2), ("BRK.B", "A firm", "9", 1)], NOON, key=KEY._replace(week_ending=BEFORE))
    stored([("AAA", "UBSA", "50", 5), ("AAA", "SGMT", "150", 3), ("BRK.B", "A firm", "8", 1), *FIRMS], NOON)
    stored([("AAA", "UBSA", "90", 5), ("AAA", "SGMT", "300.25", 3), ("BRK.B", "A firm", "8", 1), *FIRMS], NOON + HOUR)


def browser(name: str) -> Client:
    """A new browser, in which a new Viewer has signed in."""
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    client = Client()
    client.force_login(user)
    return client


def opened(client: Client, page: str) -> tuple[Contents, dict[str, Any]]:
    """What a page shows at its whole address, and what stands in its filters."""
    answer = client.get(f"/admin/market/{page}", ADDRESSES[page])
    assert answer.status_code == HTTPStatus.OK, answer.context["trouble"]
    return answer.context["contents"], {field.name: field.value() for field in answer.context["form"]}


@pytest.mark.usefixtures("_ledger")
def test_complaint_30_an_address_holds_the_page_and_its_files_its_tables() -> None:
    vera, olaf = browser("vera"), browser("olaf")
    compared = 0
    for page in PAGES:
        contents, filters = opened(vera, page)
        assert {name: value for name, value in filters.items() if value} == ADDRESSES[page]
        assert opened(olaf, page) == (contents, filters)
        for table in tables_of(contents):
            records = records_of(body(vera.get(table.csv)), table.dataset)
            assert records
            assert len(table.lines) + table.more == len(records)
            assert set(table.lines) <= set(whole := lines_of(records, table.fields))
            assert table.more or table.lines == whole
            compared += 1
    assert compared == 15


@pytest.mark.usefixtures("_ledger")
def test_complaint_30_a_file_has_the_rows_for_which_a_page_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "MOST", 10)
    client = browser("vera")
    contents, _ = opened(client, "")
    [board] = [one for one in tables_of(contents) if one.dataset == "venues"]
    records = records_of(body(client.get(board.csv)), "venues")

    assert (len(board.lines), board.more, len(records)) == (15 + 10, 6, 31)
    assert records[-1]["venue_name"] == "Firm 1"


@pytest.mark.usefixtures("_ledger")
def test_complaint_30_the_triangle_and_its_file_are_the_same_cells() -> None:
    client = browser("vera")
    [section] = [one for one in opened(client, "revisions/")[0].sections if one.title == "The triangle"]
    assert section.table is not None
    ages = [int(header.text.removesuffix(" d")) for header in section.table.headers[2:]]
    shown = {
        (week.text, tier.text, age): cell.text
        for week, tier, *cells in section.table.lines
        for age, cell in zip(ages, cells, strict=True)
    }
    dataset, csv = source_of(section)
    cells = {
        (str(one["week_ending"]), one["tier"], one["age_days"]): one["state"].replace("_", " ").lower()
        if one["value"] is None
        else f"{one['value']:g}"
        for one in records_of(body(client.get(csv)), dataset)
    }
    assert shown == cells
    assert len(cells) > len(ages)
