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
from pipeline.finra.calendar import Tier
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


def test_the_venues_below_the_largest_are_one_line_that_opens(ledger: Ledger, viewer: Client) -> None:
    other = KEY._replace(tier=Tier.NMS_TIER_2)
    pools = [("AAA", f"AA{chr(65 + number)}A", f"{100 - number}", 1) for number in range(17)]
    stored([*pools, ("AAA", "A firm", "1", 1)], NOON, key=other)
    contents, text = page(viewer, "?tier=NMS_TIER_2")
    board = section(contents, "Venues of week")

    assert board.table is not None
    assert board.fold is not None
    assert (len(board.table.lines), len(board.fold.table.lines)) == (15, 3)
    assert [line[2].text for line in board.fold.table.lines] == ["AAPA", "AAQA", ""]
    assert board.fold.line == "3 other venues, together 10.806 % of ATS and 100.000 % of non-ATS volume"
    assert f'<details class="mk-folded"><summary>{board.fold.line}</summary>' in text
    large, _ = page(viewer, "?tier=NMS_TIER_2&venue_kind=ATS&min_share=0.06")
    assert [line[2] for line in lines(large, "Venues of week")] == [f"AA{letter}A" for letter in "ABCDEFG"]
    assert section(large, "Venues of week").fold is None
    assert "min_share=0.06" in section(large, "Venues of week").downloads[0].url
    wrong: Any = viewer.get("/admin/market/?min_share=6%25")
    assert (wrong.status_code, "from 0 to 1" in wrong.context["trouble"]) == (400, True)


def test_restatements_are_narrowed_by_effect_and_by_ones_own_symbols(viewer: Client) -> None:
    held = [("AAA", "UBSA", "100", 5), ("AAA", "SGMT", "300", 3), FIRM]
    little = [("AAA", "UBSA", "100.02", 5), *held[1:]]  # 0.02 of 420 shares, less than 0.01 %
    stored(little, NOON + 2 * HOUR)
    stored([*little, ("BBB", "UBSA", "1", 1)], NOON + 3 * HOUR)

    def told(address: str) -> tuple[list[str], str, str]:
        contents, _ = page(viewer, f"restatements/?{address}")
        feed = section(contents, "The feed")
        numbers = [line[10].text for line in feed.table.lines] if feed.table else []
        shown = [line[12].text.rpartition(":")[2] for line in feed.table.lines] if feed.table else []
        assert len(numbers) == len(shown)
        return shown, feed.lead.rpartition(". ")[2], contents.tiles[0].figure

    everything = [f"20251226.{version}" for version in (4, 3, 2)]
    assert told("tier=OTC")[0] == everything
    assert told("tier=OTC&min_effect=0.0001")[::2] == (["20251226.4", "20251226.2"], "2")
    assert told("tier=OTC&min_effect=0.01") == (
        ["20251226.2"],
        "1 of 3 of the period; the files have all of them",
        "1",
    )
    assert told("tier=OTC&symbols=BBB,%20NONE")[0] == ["20251226.4"]
    assert told("tier=OTC&symbols=AAA&min_effect=0.01")[0] == ["20251226.2"]
    assert told("tier=OTC&symbols=NONE") == (
        [],
        "0 of 3 of the period; the files have all of them",
        "0",
    )
    by_symbol, _ = page(viewer, "restatements/?tier=OTC&symbols=BBB")
    assert [line[0] for line in lines(by_symbol, "By symbol")] == ["BBB"]


def test_two_weeks_are_compared_and_a_week_with_itself_at_an_age(viewer: Client) -> None:
    """Of the fixture: in the week before UBSA has 60 of 100, in the week as first captured 50 of 200, and now 100 of 400."""
    two, _ = page(viewer, f"compare/?tier=OTC&week_ending={BEFORE}&other_week={WEEK}")
    assert dict(two.facts) == {"A": f"week ending {BEFORE}, latest", "B": f"week ending {WEEK}, latest"}
    shares = {line[0]: line[2:4] for line in lines(two, "Venues") if line[1] == "ATS"}
    assert shares == {
        "SGMT": ["-", "75.000 %"],
        "UBSA": ["60.000 %", "25.000 %"],
        "WDNX": ["40.000 %", "-"],
    }
    assert [one.title for one in two.sections][-1] == "Concentration", "rows are of one week"

    compared = f"compare/?tier=OTC&week_ending={WEEK}"
    young: Any = viewer.get(f"/admin/market/{compared}&a=28%20days")
    assert (young.status_code, young.context["trouble"]) == (
        404,
        f"{WEEK} OTC is not 28 days old yet: it was due on 2025-12-15.",
    )
    with time_machine.travel(NOON + timedelta(days=20), tick=False):
        viewer.force_login(User.objects.get())
        aged, _ = page(viewer, f"{compared}&a=first&b=28%20days")
        same, _ = page(viewer, f"{compared}&a=28d&b=latest")
    assert dict(aged.facts)["B"] == f"week ending {WEEK}, 28 days after the due date"
    volumes = {line[0]: line[7:9] for line in lines(aged, "Venues") if line[1] == "ATS"}
    assert volumes == {"SGMT": ["150", "300"], "UBSA": ["50", "100"]}
    assert [tile.figure for tile in same.tiles if tile.name == "Vintages"] == ["the same"]
