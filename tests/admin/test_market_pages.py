"""The analyst's pages beside their figures: chips, tiles, entries of the dictionary, reasons, ways to the rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pipeline import readers
from pipeline.admin.market.frame import Contents, Section
from pipeline.admin.market.heat import heat_table
from pipeline.finra.rows import DE_MINIMIS
from pipeline.weeks import analytics
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = WEEK - timedelta(days=7)
LATER = "2025-12-26T12:30:00Z"
FIRM = ("AAA", DE_MINIMIS, "20", 1)


@pytest.fixture
def viewer(ledger: Ledger) -> Iterator[Client]:
    """A Viewer's browser, over two weeks, the newer of which was restated, and lost a venue and won one."""
    stored([("AAA", "UBSA", "60", 6), ("AAA", "WDNX", "40", 2), FIRM], NOON, key=KEY._replace(week_ending=BEFORE))
    stored([("AAA", "UBSA", "50", 5), ("AAA", "SGMT", "150", 3), FIRM], NOON)
    analytics.calculate_week(WEEK)
    stored([("AAA", "UBSA", "100", 5), ("AAA", "SGMT", "300", 3), FIRM], NOON + HOUR)
    analytics.calculate_week(WEEK)
    user = User.objects.create_user("vera", is_staff=True)
    user.groups.add(Group.objects.get(name="Viewer"))
    client = Client()
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        client.force_login(user)
        yield client


def page(client: Client, address: str) -> tuple[Contents, str]:
    """What a page shows, and its text."""
    answer: Any = client.get(f"/admin/market/{address}")
    assert answer.status_code == 200, answer.context["trouble"]
    return answer.context["contents"], answer.content.decode()


def section(contents: Contents, title: str) -> Section:
    return next(one for one in contents.sections if one.title.startswith(title))


def lines(contents: Contents, title: str) -> list[list[str]]:
    table = section(contents, title).table
    assert table is not None
    return [[cell.text for cell in line] for line in table.lines]


def test_the_market_answers_with_figures_first_and_what_moved(viewer: Client) -> None:
    contents, _ = page(viewer, "?tier=OTC")

    [now] = readers.market(week_ending=WEEK, tier="OTC", venue_kind="ATS").frame.to_dicts()
    tiles = {tile.name: (tile.figure, tile.more) for tile in contents.tiles}
    assert tiles["ATS part"] == (f"{now['ats_ratio'] * 100:.3f} %", "week before: 83.333 %")
    assert tiles["HHI of ATSs"] == ("6,250", "high; week before: 5,200")
    assert tiles["HHI of other firms"][0] == "0 to 10,000"
    assert [line[0] for line in lines(contents, "New this week")] == ["SGMT"]
    assert [line[0] for line in lines(contents, "Gone this week")] == ["WDNX"]
    [top] = lines(contents, "Top symbols")
    assert top[:5] == ["1", "AAA", "420", "100.000 %", "100.000 %"]
    ats = section(contents, "The ten largest").chart
    assert ats is not None
    assert ats.headers[1:] == ["SGMT", "UBSA", "others"]


def test_chips_say_whether_a_week_is_whole_restated_and_checked(viewer: Client) -> None:
    latest, _ = page(viewer, "?tier=OTC")
    earlier, _ = page(viewer, f"?tier=OTC&as_of={LATER}")
    all_tiers, _ = page(viewer, f"symbol/?symbol=AAA&week_ending={WEEK}")

    assert [chip.text for chip in latest.chips] == [
        "trading: never judged",
        "complete",
        "restated since first published",
    ]
    assert [chip.text for chip in earlier.chips][-1] == "restated since"
    assert all_tiers.chips[1].text.endswith("partitions lacking")


def test_a_page_is_switched_between_vintages_without_losing_its_filters(viewer: Client) -> None:
    _, text = page(viewer, f"?tier=OTC&weeks=26&as_of={LATER}")

    assert 'href="?tier=OTC&amp;weeks=26"' in text
    assert 'href="?tier=OTC&amp;weeks=26&amp;vintage=first"' in text
    assert "Copy link as known now" not in text, "this address shows the same for ever"
    _, text = page(viewer, "?tier=OTC")
    assert 'data-copy="?tier=OTC&amp;as_of=2025-12-26T13%3A00%3A00Z"' in text


def test_every_measure_opens_its_entry_of_the_dictionary(viewer: Client) -> None:
    for address in ("?tier=OTC", "venue/?mpid=SGMT&tier=OTC", "symbol/?symbol=AAA&against=first"):
        _, text = page(viewer, address)
        asked, there = (
            re.findall(r'popovertarget="([^"]+)" aria-label', text),
            re.findall(r'id="([^"]+)" popover', text),
        )
        assert asked
        assert set(asked) == set(there)
        assert len(there) == len(set(there))
    assert "symbol_history.hhi_ats" in text


def test_a_dash_has_its_reason_below_the_table(viewer: Client) -> None:
    contents, text = page(viewer, "?tier=OTC")
    table = section(contents, "Venues of week").table
    assert table is not None
    assert ("Change, bp", "where the week before is not comparable, or the venue was not in it") in table.nulls
    assert "or the venue was not in it</span>" in text


def test_figures_lead_to_the_rows_that_they_are_made_of(viewer: Client) -> None:
    contents, _ = page(viewer, f"?tier=OTC&as_of={LATER}")
    table = section(contents, "Venues of week").table
    assert table is not None
    urls = [cell.url for cell in table.lines[0] if cell.url.startswith("/admin/rows/")]
    assert urls == [f"/admin/rows/?week={WEEK}&tier=OTC&venue=SGMT&as_of=2025-12-26T12%3A30%3A00"]
    assert viewer.get(urls[0]).status_code == 200
    first, _ = page(viewer, "?vintage=first&tier=OTC")
    table = section(first, "Venues of week").table
    assert table is not None
    assert any("capture=finra.otc_transparency" in cell.url for cell in table.lines[0])


def test_a_week_is_shown_at_the_end_of_its_span(viewer: Client) -> None:
    contents, _ = page(viewer, f"?tier=OTC&week_ending={BEFORE}")
    volume = section(contents, "Volume").chart
    assert volume is not None
    assert [row[0] for row in volume.rows] == [BEFORE.isoformat()]


def test_a_venue_has_its_names_restatements_and_leads(viewer: Client) -> None:
    contents, _ = page(viewer, "venue/?mpid=SGMT&tier=OTC")

    assert lines(contents, "Names it has had") == [["SGMT ATS", str(WEEK), str(WEEK)]]
    [moved] = lines(contents, "Restatements that touched it")
    assert moved[:4] == [str(WEEK), "OTC", "150", "300"]
    assert [line[0] for line in lines(contents, "Symbols where it leads")] == ["AAA"]
    rank = section(contents, "Rank").chart
    assert rank is not None
    assert '"reverse": true' in rank.options


def test_a_symbol_has_its_venues_by_week_and_its_versions_before_and_after(viewer: Client) -> None:
    contents, _ = page(viewer, f"symbol/?symbol=AAA&against={LATER}")

    heat = section(contents, "Venues by week").table
    assert heat is not None
    shown = {line[0].text: [(cell.text, cell.heat) for cell in line[1:]] for line in heat.lines}
    assert shown["SGMT"] == [("71.4 %", 5), ("-", 0)]
    assert shown["WDNX"] == [("-", 0), ("33.3 %", 4)]
    versions = {(line[0], line[2], line[3]) for line in lines(contents, "Every version")}
    assert versions == {
        ("SGMT", "-", "150"),
        ("SGMT", "150", "300"),
        ("UBSA", "-", "50"),
        ("UBSA", "50", "100"),
        ("", "-", "20"),
    }
    two = lines(contents, "At two instants")
    assert two[0][:4] == [str(WEEK), "220", "420", "+200"]
    assert lines(contents, "Tiers held") == [["OTC", str(BEFORE), str(WEEK), "2"]]


def test_heat_is_of_the_newest_weeks_and_the_largest_venues(viewer: Client) -> None:
    frame = readers.symbol_venues(symbol="AAA", weeks="all").frame
    table = heat_table(frame, "mpid", lambda record: str(record["mpid"]), 1, 2)
    assert [header.text for header in table.headers] == ["Venue", "11-14"]
    assert ([line[0].text for line in table.lines], table.more) == (["SGMT", "UBSA"], 1)


def test_a_page_asks_the_ledger_nothing_twice(viewer: Client) -> None:
    """But whether it is one of samples, which what stands around each page asks, too."""
    for address in ("", "venue/?mpid=SGMT", "symbol/?symbol=AAA"):
        page(viewer, address)  # what a process remembers of the figures is read
        with CaptureQueriesContext(connection) as asked:
            page(viewer, address)
        told = Counter(one["sql"] for one in asked.captured_queries if "ledgerkind" not in one["sql"])
        assert [sql for sql, times in told.items() if times > 1] == [], address
