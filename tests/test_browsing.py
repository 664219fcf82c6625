"""Looking through stored rows: what is found, in which order, page after page, without a row lost or shown twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pipeline import browsing
from pipeline.browsing import Page, Question
from pipeline.models import Capture, Partition, RowVersion
from pipeline.vintages import NoSuchVintage
from tests.commands.calling import call
from tests.commands.publications import DAY, OLDER_WEEK, OTC, WEEK, publish_week, restate
from tests.engines import Begin, Ledger

pytestmark = pytest.mark.usefixtures("few_rows")

MONDAY = datetime(2025, 12, 15, 16, tzinfo=UTC)
TUESDAY = datetime(2025, 12, 16, 16, tzinfo=UTC)
WEDNESDAY = datetime(2025, 12, 17, 16, tzinfo=UTC)


@pytest.fixture(autouse=True)
def wednesday() -> Iterator[None]:
    """What is asked is asked on the Wednesday after."""
    with time_machine.travel(WEDNESDAY):
        yield


@pytest.fixture
def weeks(begin: Begin) -> None:
    """Two weeks of four rows a tier, captured on Monday; on Tuesday OTC's AAPL at UBSA is restated from 100.5 to 101."""
    begin(two_weeks)


def two_weeks(source_dir: Path) -> None:
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    with time_machine.travel(MONDAY):
        call("backfill", "--from", OLDER_WEEK, "--to", WEEK, "--run-date", DAY)
    restate(source_dir, OTC)
    with time_machine.travel(TUESDAY):
        call("backfill", "--weeks", WEEK, "--run-date", DAY)


def told(page: Page) -> list[tuple[str, str, str, str, str]]:
    """Week, tier, symbol, venue and shares of each row found."""
    return [
        (
            str(found.capture.partition.week_ending),
            found.capture.partition.tier,
            found.row.security.symbol,
            found.row.venue.mpid,
            f"{found.row.shares:f}",
        )
        for found in page.rows
    ]


def test_a_symbol_is_found_in_all_weeks_the_newest_and_largest_first(weeks: None) -> None:
    page = browsing.find(Question(symbol="AAPL", tier="OTC"))
    assert told(page) == [
        ("2025-11-14", "OTC", "AAPL", "UBSA", "101"),
        ("2025-11-14", "OTC", "AAPL", "SGMT", "50"),
        ("2025-11-07", "OTC", "AAPL", "UBSA", "100.500001"),
        ("2025-11-07", "OTC", "AAPL", "SGMT", "50.000001"),
    ]
    assert (page.older, page.next_place, page.note) == (None, None, "")


def test_as_of_an_instant_a_row_is_what_it_was_known_to_be(weeks: None) -> None:
    def shares(instant: datetime) -> list[str]:
        page = browsing.find(Question(symbol="AAPL", venue="UBSA", tier="OTC", week_ending=WEEK, instant=instant))
        return [line[-1] for line in told(page)]

    before = datetime(2025, 12, 15, 9, tzinfo=UTC)
    assert [shares(instant) for instant in (before, TUESDAY, WEDNESDAY)] == [[], ["100.5"], ["101"]]


@pytest.mark.parametrize(
    ("symbol", "venue", "found"),
    [
        ("MSFT", "", [("MSFT", "UBSA")]),
        ("msft", "", [("MSFT", "UBSA")]),
        ("MS", "", [("MSFT", "UBSA")]),
        ("NONE", "", []),
        ("AAPL", "sgmt", [("AAPL", "SGMT")]),
        ("AAPL", "NOPE", []),
        ("", "SGMT", [("AAPL", "SGMT"), ("ZZZZ", "SGMT")]),
    ],
)
def test_symbols_and_venues_are_found_as_people_write_them(
    weeks: None, symbol: str, venue: str, found: list[tuple[str, str]]
) -> None:
    page = browsing.find(Question(symbol=symbol, venue=venue, week_ending=WEEK, tier="OTC"))
    assert sorted((line[2], line[3]) for line in told(page)) == found


def test_pages_of_a_vintage_lose_no_row_and_repeat_none(weeks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "PAGE", 3)
    capture = Capture.objects.get(partition__week_ending=WEEK, partition__tier="OTC", version=2)
    seen, place = [], None
    while True:
        page = browsing.find(Question(capture=capture, place=place))
        seen += told(page)
        place = page.next_place
        if place is None:
            break
    assert len(seen) == len(set(seen)) == 4
    assert ("2025-11-14", "OTC", "AAPL", "UBSA", "101") in seen


def test_a_vintage_that_was_superseded_is_shown_as_it_was(weeks: None) -> None:
    first = Capture.objects.get(partition__week_ending=WEEK, partition__tier="OTC", version=1)
    page = browsing.find(Question(symbol="AAPL", venue="UBSA", capture=first))
    assert [line[-1] for line in told(page)] == ["100.5"]


def test_without_a_question_the_newest_vintage_is_shown(weeks: None) -> None:
    page = browsing.find(Question())
    assert {line[:2] for line in told(page)} == {("2025-11-14", "NMS_TIER_1")}
    assert len(page.captures) == 1


def test_older_weeks_go_on_where_whole_weeks_ended(weeks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "PARTITIONS_A_PAGE", 4)  # a week of three, and one that does not fit whole
    newest = browsing.find(Question(symbol="MSFT"))
    assert [line[0] for line in told(newest)] == ["2025-11-14"] * 3
    assert newest.older == WEEK
    older = browsing.find(Question(symbol="MSFT", before=newest.older))
    assert [line[0] for line in told(older)] == ["2025-11-07"] * 3
    assert older.older is None


def test_what_retention_removed_is_an_error_and_never_the_closest(weeks: None) -> None:
    pruned = Capture.objects.filter(partition__week_ending=WEEK, partition__tier="OTC", version=1)
    pruned.update(pruned_at=timezone.now())
    with pytest.raises(NoSuchVintage, match="its rows were given up"):
        browsing.find(Question(capture=pruned.get()))
    page = browsing.find(Question(symbol="AAPL", tier="OTC", week_ending=WEEK, instant=TUESDAY))
    assert (told(page), page.note) == ([], f"retention has removed the rows of {pruned.get()}")


def test_before_anything_is_captured_it_says_so(ledger: Ledger) -> None:
    assert browsing.find(Question()).note == "nothing is captured there yet"
    assert browsing.find(Question(symbol="AAPL")).rows == []


@pytest.fixture
def many_rows(weeks: None, ledger: Ledger) -> Capture:
    """30,000 further row versions, on PostgreSQL, with what the planner knows of them."""
    if ledger.engine != "postgresql":
        pytest.skip("the plans of PostgreSQL are looked at")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO pipeline_security (symbol, issue_name) SELECT 'S' || g, '' FROM generate_series(1, 5000) AS g"
        )
        cursor.execute(
            "SET session_replication_role = replica;"
            "INSERT INTO pipeline_rowversion (partition_id, security_id, venue_id, product_type, first_version,"
            " last_update_date, shares_micros, trades)"
            " SELECT p.id, s.id, (SELECT min(id) FROM pipeline_venue), '', 1, '2025-12-08', 1000000, 1"
            " FROM pipeline_partition AS p, pipeline_security AS s WHERE s.symbol LIKE 'S%';"
            "SET session_replication_role = DEFAULT; ANALYZE"
        )
    assert RowVersion.objects.count() > 30_000
    return Capture.objects.get(partition__week_ending=WEEK, partition__tier="OTC", pk=F("partition__latest"))


def questions(capture: Capture) -> list[Question]:
    place = browsing.find(Question(capture=capture)).next_place
    assert place is not None
    return [
        Question(symbol="S4321"),
        Question(symbol="S4321", week_ending=WEEK, tier="OTC"),
        Question(symbol="S43", instant=WEDNESDAY),
        Question(capture=capture),
        Question(capture=capture, place=place),
        Question(week_ending=date(2025, 11, 14), tier="OTC", venue="SGMT"),
    ]


def test_every_question_starts_from_the_key_and_reads_no_table_whole(many_rows: Capture) -> None:
    for question in questions(many_rows):
        with CaptureQueriesContext(connection) as asked:
            browsing.find(question)
        reading = [query["sql"] for query in asked if 'FROM "pipeline_rowversion"' in query["sql"]]
        assert len(reading) == 1, question
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {reading[0]}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "pipeline_rowversion_pkey" in plan, (question, plan)
        assert "Seq Scan on pipeline_rowversion" not in plan, (question, plan)
        assert "count(" not in " ".join(query["sql"].lower() for query in asked)
    assert Partition.objects.count() == 6
