"""What leads a week: its securities, a venue's securities, and what became of both: beside plain figures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
import time_machine

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.rows import DE_MINIMIS
from pipeline.readers.largest import largest_ats_shares
from pipeline.readers.symbol_compared import beside_version_before, beside_week_before, symbol_at_two, tiers_held
from pipeline.readers.venue_revisions import venue_names, venue_revisions
from pipeline.readers.week_before import departed_venues
from pipeline.weeks import analytics
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = WEEK - timedelta(days=7)
OLDER = PartitionKey(BEFORE, Tier.NMS_TIER_1)
OTC = {"tier": "OTC"}


@pytest.fixture(autouse=True)
def _two_weeks(ledger: Ledger) -> Iterator[None]:
    """BBB was in Tier 1 the week before; SGMT came, WDNX went; the week was restated, in two rows of three of AAA."""
    stored([("BBB", "UBSA", "5", 1), ("BBB", "SGMT", "5", 1)], NOON, key=OLDER)
    stored(
        [("AAA", "UBSA", "60", 6), ("AAA", "WDNX", "20", 2), ("AAA", DE_MINIMIS, "20", 1)],
        NOON,
        key=KEY._replace(week_ending=BEFORE),
    )
    stored([("AAA", "UBSA", "50", 5), ("AAA", "SGMT", "150", 3), ("BBB", "UBSA", "30.5", 1)], NOON)
    analytics.calculate_week(WEEK)
    stored([("AAA", "UBSA", "100", 5), ("AAA", "SGMT", "300", 3), ("BBB", "UBSA", "30.5", 1)], NOON + HOUR)
    analytics.calculate_week(WEEK)
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


def test_the_securities_of_a_week_add_up_to_its_volume() -> None:
    found = readers.symbol_leaders(week_ending=WEEK, venue_kind="ATS", **OTC).frame

    assert found.select("symbol", "rank", "shares", "venues").rows() == [
        ("AAA", 1, Decimal(400), 2),
        ("BBB", 2, Decimal("30.5"), 1),
    ]
    assert found["cumulative_ratio"].to_list() == [400 / 430.5, 1.0]
    assert readers.symbol_leaders(week_ending=WEEK, venue_kind="ATS", top=1, **OTC).frame["symbol"].to_list() == ["AAA"]
    earlier = readers.symbol_leaders(week_ending=WEEK, venue_kind="ATS", as_of=NOON, **OTC).frame
    assert earlier["shares"].to_list() == [Decimal(200), Decimal("30.5")]


def test_what_a_venue_traded_has_its_place_in_each_security_and_the_change() -> None:
    found = readers.venue_symbols(mpid="UBSA", week_ending=WEEK, **OTC).frame

    assert found.select("symbol", "rank", "venues", "shares_before", "shares_change").rows() == [
        ("AAA", 2, 2, Decimal(60), Decimal(40)),
        ("BBB", 1, 1, Decimal(0), Decimal("30.5")),
    ]
    assert found["share_of_symbol"].to_list() == [0.25, 1.0]
    tier_1 = readers.venue_symbols(mpid="UBSA", week_ending=BEFORE, tier="NMS_TIER_1").frame
    assert tier_1["shares_change"].to_list() == [None]


def test_venues_that_a_week_has_no_more_are_told_with_their_last_figures() -> None:
    gone = departed_venues(week_ending=WEEK, venue_kind="ATS", **OTC)
    assert gone.height == 0, "the week before has firms, and this one has none: they do not compare"
    stored([("AAA", "UBSA", "60", 6), ("AAA", "WDNX", "20", 2)], NOON + HOUR, key=KEY._replace(week_ending=BEFORE))

    gone = departed_venues(week_ending=WEEK, **OTC)
    assert gone.select("mpid", "week_ending", "share", "rank", "rank_before").rows() == [
        ("WDNX", BEFORE, 0.25, 2, None)
    ]


def test_the_largest_venues_and_the_others_make_the_whole() -> None:
    found = largest_ats_shares(WEEK, 1, weeks="all", **OTC)
    assert found.rows() == [(BEFORE, "others", 1.0), (WEEK, "SGMT", 300 / 430.5), (WEEK, "others", 130.5 / 430.5)]


def test_a_restatement_that_moved_a_venue_is_told_before_and_after() -> None:
    [moved] = venue_revisions(mpid="SGMT", weeks="all").to_dicts()

    assert (moved["week_ending"], moved["tier"], moved["cause"], moved["known_from"]) == (
        WEEK,
        "OTC",
        "SOURCE",
        NOON + HOUR,
    )
    assert (moved["shares_before"], moved["shares_after"], moved["rank_before"], moved["rank_after"]) == (
        150,
        300,
        1,
        1,
    )
    assert venue_revisions(mpid="SGMT", weeks="all", as_of=NOON).is_empty()
    assert venue_names(mpid="SGMT").rows() == [("SGMT ATS", WEEK, WEEK)]


def test_a_symbol_is_looked_at_beside_its_past() -> None:
    venues = readers.symbol_venues(symbol="BBB", weeks="all").frame
    assert tiers_held(venues).select("tier", "first_week", "last_week", "weeks").rows() == [
        ("OTC", WEEK, WEEK, 1),
        ("NMS_TIER_1", BEFORE, BEFORE, 1),
    ]
    split = beside_week_before(readers.symbol_venues(symbol="AAA", weeks="all", venue_kind="ATS"), "ATS")
    shares = {
        row["mpid"]: (row["share_before"], row["share_change_bp"])
        for row in split.to_dicts()
        if row["week_ending"] == WEEK
    }
    assert shares == {"UBSA": (0.75, -5000), "SGMT": (0.0, 7500)}
    versions = beside_version_before(readers.row_history(symbol="AAA", week_ending=WEEK).frame)
    assert versions.select("mpid", "shares_before", "shares").rows() == [
        ("SGMT", None, 150),
        ("SGMT", 150, 300),
        ("UBSA", None, 50),
        ("UBSA", 50, 100),
    ]


def test_two_instants_of_a_symbol_stand_side_by_side() -> None:
    lines = [("AAA", "UBSA", "60", 6), ("AAA", "WDNX", "20", 2), ("AAA", DE_MINIMIS, "40", 1)]
    stored(lines, NOON + HOUR, key=KEY._replace(week_ending=BEFORE))

    both = symbol_at_two({"vintage": "first"}, {}, symbol="AAA", weeks="all", **OTC)
    assert both.select("week_ending", "shares_a", "shares_b", "shares_change").rows() == [
        (BEFORE, Decimal(100), Decimal(120), Decimal(20)),
        (WEEK, None, None, None),  # of one kind alone there is no total
    ]


def test_a_kind_that_was_not_captured_the_week_before_is_no_volume_of_zero() -> None:
    """Of WEEK nothing but ATSs is captured."""
    after = KEY._replace(week_ending=WEEK + timedelta(days=7))
    stored([("AAA", "UBSA", "1", 1), ("CCC", "UBSA", "2", 1), ("AAA", "A firm", "3", 1)], NOON + HOUR, key=after)

    changes = {
        venue: readers.venue_symbols(week_ending=after.week_ending, tier="OTC", **venue_of).frame
        for venue, venue_of in (("UBSA", {"mpid": "UBSA"}), ("A firm", {"venue_name": "A firm"}))
    }
    columns = ("symbol", "shares_before", "shares_change")
    assert changes["A firm"].select(columns).rows() == [("AAA", None, None)]
    assert changes["UBSA"].select(columns).rows() == [
        ("AAA", Decimal(100), Decimal(-99)),
        ("CCC", Decimal(0), Decimal(2)),
    ]
    split = {
        kind: beside_week_before(
            readers.symbol_venues(symbol="AAA", week_ending=[WEEK, after.week_ending], venue_kind=kind), kind
        )
        .filter(pl.col("week_ending") == after.week_ending)
        .select("venue_name", "share", "share_before", "share_change_bp")
        .sort("venue_name")
        .rows()
        for kind in ("ALL", "ATS", "NON_ATS")
    }
    assert split["ALL"] == [("A firm", 0.75, None, None), ("UBSA ATS", 0.25, None, None)]
    assert split["ATS"] == [("UBSA ATS", 1.0, 0.25, 7500.0)]
    assert split["NON_ATS"] == [("A firm", 1.0, None, None)]
    [of_week, later] = readers.symbol_history(
        symbol="AAA", week_ending=[WEEK, after.week_ending], tier="OTC"
    ).frame.rows(named=True)
    assert (of_week["venues_ats"], of_week["venues_non_ats"], of_week["non_ats_shares"]) == (2, None, None)
    assert (later["venues_ats"], later["venues_non_ats"], later["non_ats_shares"]) == (1, 1, Decimal(3))


def test_the_largest_of_equals_are_always_the_same() -> None:
    same = [("AAA", "WDNX", "7", 1)]
    for tier in (Tier.OTC, Tier.NMS_TIER_2, Tier.NMS_TIER_1):
        stored(same, NOON + HOUR, key=PartitionKey(WEEK + timedelta(days=7), tier))
    [first] = readers.venue_symbols(mpid="WDNX", week_ending=WEEK + timedelta(days=7), top=1).frame.to_dicts()
    assert (first["tier"], first["symbol"]) == ("NMS_TIER_1", "AAA")
