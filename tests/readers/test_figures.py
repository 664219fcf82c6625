"""Venues, the market, symbols: exact figures of two small weeks, as of any instant."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
import time_machine

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture
from pipeline.readers import chosen, figures
from pipeline.weeks import analytics
from tests.readers.test_rows import kind_of
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = WEEK - timedelta(days=7)
OLD = KEY._replace(week_ending=BEFORE)
POOL = "De Minimis Firms"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


@pytest.fixture
def _two_weeks(ledger: Ledger) -> None:
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 2), ("BBB", "A firm", "100", 4)], NOON, key=OLD)
    stored(
        [
            ("AAA", "UBSA", "50", 5),
            ("AAA", "SGMT", "120", 3),
            ("BBB", "SGMT", "30", 1),
            ("BBB", "A firm", "150", 3),
            ("BBB", POOL, "50", 1),
        ],
        NOON + HOUR,
    )


def shown(result: readers.Result, *columns: str) -> list[tuple[object, ...]]:
    return [
        tuple(float(v) if isinstance(v, Decimal) else v for v in row) for row in result.frame.select(columns).rows()
    ]


@pytest.mark.usefixtures("_two_weeks")
def test_venues_of_a_week_beside_the_week_before() -> None:
    result = readers.venues(tier="OTC", venue_kind="ATS")
    columns = ("rank", "rank_before", "rank_change", "mpid", "shares", "trades", "symbols", "average_trade_size")

    assert shown(result, *columns) == [(1, 2, 1, "SGMT", 150.0, 4, 2, 37.5), (2, 1, -1, "UBSA", 50.0, 5, 1, 10.0)]
    assert shown(
        result, "share", "share_before", "share_change_bp", "share_first_published", "shares_per_trading_day"
    ) == [
        (0.75, 0.4, pytest.approx(3500), 0.75, 30.0),
        (0.25, 0.6, pytest.approx(-3500), 0.25, 10.0),
    ]
    assert shown(result, "share_of_all", "rank_of_all", "is_pool") == [(0.375, 1, False), (0.125, 3, False)]
    facts = result.meta.facts
    assert (facts.compared_with, facts.comparable, facts.trading_days, facts.trading_days_before) == (
        BEFORE,
        True,
        5,
        5,
    )
    best = readers.venues(tier="OTC", sort="share_change_bp", top=1, week_ending=WEEK)
    assert shown(best, "mpid", "venue_name", "rank_before", "is_pool") == [
        ("SGMT", "SGMT ATS", 2, False),
        ("", "A firm", 1, False),
    ]
    by_size = readers.venues(tier="OTC", sort="average_trade_size", top=1, week_ending=BEFORE, venue_kind="ATS")
    assert shown(by_size, "mpid", "rank", "average_trade_size") == [("SGMT", 2, 20.0)], "not the largest by volume"
    assert shown(readers.venues(tier="OTC", venue_name=POOL), "share", "share_before", "is_pool") == [
        (0.25, None, True)
    ]


@pytest.mark.usefixtures("_two_weeks")
def test_a_week_that_cannot_be_compared_says_why_and_has_no_changes() -> None:
    result = readers.venues(tier="OTC", week_ending=BEFORE)
    assert shown(result, "rank_before", "share_before", "share_change_bp") == [(None, None, None)] * 3
    assert not result.meta.facts.comparable
    assert result.meta.facts.comparable_because == "not every tier of 2025-10-31 is captured"

    stored([("AAA", "UBSA", "1", 1)], NOON + 2 * HOUR)
    because = readers.venues(tier="OTC").meta.facts.comparable_because
    assert because == "2025-11-07 and 2025-11-14 have not the same kinds of venues"


@pytest.mark.usefixtures("_two_weeks")
def test_a_week_has_all_its_tiers_where_the_last_weeks_of_each_are_others() -> None:
    """The last week of OTC that is due is an older one than that of NMS Tier 1, of which the older one is captured, too."""
    newest_otc, newest_nms = date(2025, 11, 28), date(2025, 12, 12)
    for key in (PartitionKey(newest_otc, Tier.OTC), PartitionKey(newest_otc, Tier.NMS_TIER_1)):
        stored([("AAA", "UBSA", "60", 6)], NOON, key=key)
    stored([("AAA", "UBSA", "7", 1)], NOON, key=PartitionKey(newest_nms, Tier.NMS_TIER_1))

    assert shown(readers.market(weeks=1), "week_ending", "tier", "shares") == [
        (newest_otc, "NMS_TIER_1", 60.0),
        (newest_otc, "OTC", 60.0),
        (newest_nms, "NMS_TIER_1", 7.0),
    ]


@pytest.mark.usefixtures("_two_weeks")
def test_market_by_week() -> None:
    result = readers.market(tier="OTC", weeks="all")
    columns = ("week_ending", "venue_kind", "shares", "trades", "venues", "symbols", "ats_ratio", "hhi_low", "hhi_high")

    assert shown(result, *columns) == [
        (BEFORE, "ALL", 200.0, 12, 3, 2, 0.5, 0.38, 0.38),
        (BEFORE, "ATS", 100.0, 8, 2, 1, 0.5, pytest.approx(0.52), pytest.approx(0.52)),
        (BEFORE, "NON_ATS", 100.0, 4, 1, 1, 0.5, 1.0, 1.0),
        (WEEK, "ALL", 400.0, 13, 4, 2, 0.5, 0.296875, 0.3125),
        (WEEK, "ATS", 200.0, 9, 2, 2, 0.5, 0.625, 0.625),
        (WEEK, "NON_ATS", 200.0, 4, 2, 1, 0.5, 0.5625, 0.625),
    ]
    assert shown(
        readers.market(tier="OTC", venue_kind="NON_ATS"), "top5_ratio", "effective_venues_low", "trading_days"
    ) == [(0.75, 1.6, 5)]
    both = readers.market(tier="OTC", venue_kind="ALL")
    assert both.frame["venue_kind"].to_list() == ["ALL"]
    assert both.meta.digest != readers.market(tier="OTC").meta.digest
    assert readers.market(tier="ALL").frame.is_empty()
    assert readers.market(tier="ALL").empty_because


@pytest.mark.usefixtures("_two_weeks")
def test_complaint_19_the_venues_of_a_symbol_add_up_to_its_total() -> None:
    by_venue = readers.symbol_venues(symbol="BBB", weeks="all", tier="OTC")
    history = readers.symbol_history(symbol="BBB", weeks="all", tier="OTC")

    assert shown(by_venue, "week_ending", "venue_kind", "mpid", "venue_name", "shares", "trades", "share") == [
        (BEFORE, "NON_ATS", "", "A firm", 100.0, 4, 1.0),
        (WEEK, "ATS", "SGMT", "SGMT ATS", 30.0, 1, pytest.approx(30 / 230)),
        (WEEK, "NON_ATS", "", "A firm", 150.0, 3, pytest.approx(150 / 230)),
        (WEEK, "NON_ATS", "", POOL, 50.0, 1, pytest.approx(50 / 230)),
    ]
    sums = by_venue.frame.group_by("week_ending").agg(pl.sum("shares", "trades")).sort("week_ending")
    assert sums.rows() == history.frame.select("week_ending", "shares", "trades").rows()


@pytest.mark.usefixtures("_two_weeks")
def test_symbol_by_week() -> None:
    history = readers.symbol_history(symbol="BBB", weeks="all", tier="OTC")
    columns = ("ats_shares", "non_ats_shares", "shares", "ats_ratio", "ats_trades", "venues_ats", "venues_non_ats")

    assert shown(history, *columns) == [
        (0.0, 100.0, 100.0, 0.0, 0, 0, 1),
        (30.0, 200.0, 230.0, pytest.approx(30 / 230), 1, 1, 2),
    ]
    assert shown(history, "hhi_ats", "hhi_non_ats_low", "hhi_non_ats_high", "average_trade_size", "tier_changed") == [
        (None, 1.0, 1.0, 25.0, None),
        (1.0, 0.5625, 0.625, 46.0, False),
    ]
    assert shown(
        readers.symbol_history(symbol="AAA", tier="ALL", week_ending=WEEK), "tier", "ats_shares", "shares"
    ) == [("ALL", 170.0, 170.0)]


def test_a_symbol_that_moves_to_another_tier_says_so(ledger: Ledger) -> None:
    stored([("AAA", "UBSA", "60", 6)], NOON, key=OLD)
    stored([("AAA", "UBSA", "70", 6)], NOON, key=PartitionKey(WEEK, Tier.NMS_TIER_2))
    history = readers.symbol_history(symbol="AAA", weeks="all")

    assert shown(history, "week_ending", "tier", "ats_shares", "shares", "ats_ratio", "tier_changed") == [
        (BEFORE, "OTC", 60.0, None, None, None),
        (WEEK, "NMS_TIER_2", 70.0, None, None, True),
    ]


@pytest.mark.usefixtures("_two_weeks")
def test_venue_by_week() -> None:
    assert kind_of(lambda: readers.venue_history(mpid="")) == "invalid-parameter", "that of every firm"
    history = readers.venue_history(mpid="SGMT", weeks="all", tier="OTC")
    columns = ("week_ending", "shares", "trades", "symbols", "share", "rank", "share_of_all", "rank_of_all", "restated")

    assert shown(history, *columns) == [
        (BEFORE, 40.0, 2, 1, 0.4, 2, 0.2, 3, False),
        (WEEK, 150.0, 4, 2, 0.75, 1, 0.375, 1, False),
    ]


@pytest.mark.usefixtures("_two_weeks")
def test_symbols_are_found_by_other_spellings_beginnings_and_names() -> None:
    stored([("BRK.B", "UBSA", "1", 1), ("BRKX", "UBSA", "1", 1)], NOON, key=PartitionKey(BEFORE, Tier.NMS_TIER_1))

    def found(word: str) -> list[tuple[object, ...]]:
        return shown(readers.symbols(q=word), "symbol", "spelling")

    assert found("BRK.B") == [("BRK.B", "EXACT")]
    assert found("brk/b") == found("BRK B") == found("BRK-B") == [("BRK.B", "OTHER")]
    assert found("brk") == [("BRK.B", "PREFIX"), ("BRKX", "PREFIX")]
    assert found("b inc") == [("BBB", "NAME"), ("BRK.B", "NAME")]
    assert found("nothing like it") == []
    assert shown(readers.symbols(q="AAA"), "symbol", "issue_name", "first_week", "last_week", "tiers") == [
        ("AAA", "AAA Inc", BEFORE, WEEK, "OTC")
    ]
    stored([("AAA", "UBSA", "1", 1)], NOON, key=PartitionKey(BEFORE, Tier.NMS_TIER_2))
    assert shown(readers.symbols(changed_tier="true"), "symbol", "tiers") == [("AAA", "NMS_TIER_2,OTC")]
    assert shown(readers.symbols(changed_tier="false", q="aaa"), "symbol") == []
    assert len(readers.symbols().frame) == 4
    assert len(readers.symbols(top=3).frame) == 3


def test_figures_as_of_an_instant_are_those_computed_then(ledger: Ledger) -> None:
    """A snapshot of the first vintages answers; of captures that were never computed together, the files do."""
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 2)], NOON)
    analytics.calculate_week(WEEK)
    then = readers.venues(tier="OTC").frame
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "140", 2)], NOON + HOUR)
    computed = readers.venues(tier="OTC").frame
    analytics.calculate_week(WEEK)
    figures._of_week.cache_clear()

    assert readers.venues(tier="OTC", as_of=NOON).frame.equals(then)
    assert readers.venues(tier="OTC").frame.equals(computed)
    assert shown(readers.venues(tier="OTC"), "mpid", "share", "share_first_published") == [
        ("SGMT", 0.7, 0.4),
        ("UBSA", 0.3, 0.6),
    ]
    assert [one.week_ending for one in readers.venues(tier="OTC").meta.inputs] == [date(2025, 11, 14)]


def test_a_venue_by_week_has_its_share_as_first_published_beside_that_of_now(ledger: Ledger) -> None:
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "40", 2)], NOON, key=OLD)
    first = stored([("AAA", "UBSA", "60", 6)], NOON)
    asked = {"mpid": "SGMT", "weeks": "all", "tier": "OTC"}
    unmoved = readers.venue_history(**asked)
    assert shown(unmoved, "week_ending", "share", "share_first_published") == [(BEFORE, 0.4, 0.4)]
    stored([("AAA", "UBSA", "60", 6), ("AAA", "SGMT", "140", 2)], NOON + HOUR)

    history = readers.venue_history(**asked)
    columns = ("week_ending", "share", "share_first_published")
    assert shown(history, *columns) == [(BEFORE, 0.4, 0.4), (WEEK, 0.7, None)], "it was not in the first vintage"
    assert shown(readers.venue_history(**{**asked, "mpid": "UBSA"}), *columns) == [(BEFORE, 0.6, 0.6), (WEEK, 0.3, 1.0)]
    then = readers.venue_history(**{**asked, "mpid": "UBSA"}, as_of=NOON)
    assert shown(then, *columns) == [(BEFORE, 0.6, 0.6), (WEEK, 1.0, 1.0)]
    etag = history.etag
    Capture.objects.filter(pk=first.pk).update(pruned_at=NOON + HOUR)
    pruned = readers.venue_history(**{**asked, "mpid": "UBSA"})
    assert shown(pruned, *columns) == [(BEFORE, 0.6, 0.6), (WEEK, 0.3, None)]
    assert readers.venue_history(**asked).etag != etag


@pytest.mark.usefixtures("_two_weeks")
def test_figures_that_are_remembered_hold_nothing_else_of_the_question() -> None:
    figures._of_week.cache_clear()
    asked = figures.of_captures(WEEK, [Capture.objects.select_related("partition").get(partition__week_ending=WEEK)])
    assert asked.venues().height > 0
    gone = weakref.ref(asked)
    del asked
    gc.collect()

    assert figures._of_week.cache_info().currsize == 1
    assert gone() is None


def test_the_newest_week_is_whole_where_the_newest_few_end_within_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chosen, "FEW", 1)
    for tier in Tier:
        stored([("AAA", "UBSA", "1", 1)], NOON, key=PartitionKey(WEEK, tier))
    stored([("AAA", "UBSA", "1", 1)], NOON, key=PartitionKey(WEEK + timedelta(days=7), Tier.NMS_TIER_1))

    assert {(one.week_ending, one.tier) for one in readers.venues().meta.inputs} == {(WEEK, tier) for tier in Tier}


@pytest.mark.usefixtures("_two_weeks")
def test_venues_below_a_least_share_of_their_kind_are_left_out() -> None:
    every = readers.venues(tier="OTC")
    large = readers.venues(tier="OTC", min_share="0.7")

    assert shown(large, "venue_name", "rank", "share", "share_before") == [
        ("SGMT ATS", 1, 0.75, 0.4),
        ("A firm", 1, 0.75, 1.0),
    ]
    assert (every.frame.height, readers.venues(tier="OTC", min_share=0.25).frame.height) == (4, 4)
    assert readers.venues(tier="OTC", min_share=0).frame.equals(every.frame)
    assert large.etag != every.etag
    for wrong in ("1.1", "-0.1", "one", "1e-3"):
        with pytest.raises(readers.ReadersError, match="min_share is a part of a whole, from 0 to 1"):
            readers.venues(min_share=wrong)
