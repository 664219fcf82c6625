"""What is published when: due dates over holidays, late partitions, and restatements, the recorded one among them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from tests.fake_finra import (
    RECORDED,
    RECORDED_KEY,
    RECORDED_SYMBOL,
    Catalogue,
    FinraServer,
    Options,
    Restatement,
    Samples,
    Service,
    drawn,
    recorded_catalogue,
)
from tests.fake_finra.restatements import add, remove, revise, undo
from tests.test_fake_finra.asking import ask, of_partition

ORIGIN = Samples(securities=3)
FRIDAY = timedelta(days=4)
A_DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("week_start", "tier", "published"),
    [
        ("2022-12-05", Tier.NMS_TIER_1, "2022-12-27"),
        ("2022-12-12", Tier.NMS_TIER_1, "2023-01-03"),
        ("2022-12-26", Tier.NMS_TIER_1, "2023-01-17"),
        ("2023-09-18", Tier.NMS_TIER_1, "2023-10-09"),
        ("2019-11-11", Tier.NMS_TIER_1, "2019-12-02"),
        ("2019-10-28", Tier.NMS_TIER_2, "2019-12-02"),
        ("2026-08-03", Tier.OTC, "2026-09-08"),
    ],
)
def test_a_partition_appears_on_the_day_on_which_finra_published_it(
    week_start: str, tier: Tier, published: str
) -> None:
    key = PartitionKey(date.fromisoformat(week_start) + FRIDAY, tier)
    catalogue, day = Catalogue([key.week_ending], ORIGIN, tiers=[tier]), date.fromisoformat(published)
    assert catalogue.keys(day - A_DAY) == []
    assert catalogue.keys(day) == [key]
    assert {row.updated for row in catalogue.firm_rows(key, day)} == {published}


def test_a_late_partition_appears_a_missing_one_never() -> None:
    week = date(2025, 10, 31)
    late, never = PartitionKey(week, Tier.NMS_TIER_1), PartitionKey(week, Tier.OTC)
    catalogue = Catalogue([week], ORIGIN, days_late={late: 3, never: None})
    assert catalogue.published_on(late) == date(2025, 11, 20)
    assert catalogue.keys(date(2027, 1, 1)) == [late, PartitionKey(week, Tier.NMS_TIER_2)]


def test_rows_are_changed_added_removed_and_brought_back_at_their_dates() -> None:
    key = PartitionKey(date(2025, 10, 31), Tier.NMS_TIER_1)
    first = Catalogue([key.week_ending], ORIGIN).firm_rows(key, date(2026, 1, 1))
    one, other = first[0], first[-1]
    steps = [
        Restatement(key, date(2026, 1, 2), revise(str(one.symbol), str(one.venue), shares="7.5", trades=2)),
        Restatement(key, date(2026, 1, 4), undo),
        Restatement(key, date(2026, 1, 6), remove(str(other.symbol), str(other.venue))),
        Restatement(key, date(2026, 1, 10), add(other)),
    ]
    catalogue = Catalogue([key.week_ending], ORIGIN, restatements=steps)
    revised = catalogue.firm_rows(key, date(2026, 1, 2))
    assert (revised[0].shares, revised[0].trades, revised[0].updated) == (Decimal("7.5"), 2, "2026-01-02")
    assert revised[0].published == "2025-11-17"
    assert catalogue.firm_rows(key, date(2026, 1, 4)) == first
    gone = catalogue.firm_rows(key, date(2026, 1, 6))
    assert set(gone) < set(first)
    assert other not in gone
    assert catalogue.firm_rows(key, date(2026, 1, 10))[-1].updated == "2026-01-10"
    assert catalogue.vintage(key, date(2026, 1, 10)) == 5


def test_a_restatement_before_publication_is_refused() -> None:
    key = PartitionKey(date(2025, 10, 31), Tier.NMS_TIER_1)
    with pytest.raises(ValueError, match="is not published"):
        Catalogue([key.week_ending], ORIGIN, restatements=[Restatement(key, date(2025, 11, 16), undo)])


def test_drawn_restatements_are_the_same_each_time_and_some_come_months_late() -> None:
    keys = [PartitionKey(date(2025, 1, 3) + 7 * A_DAY * n, tier) for n in range(40) for tier in Tier]
    plan, again = drawn(keys, 1), drawn(keys, 1)
    assert [(each.key, each.on) for each in plan] == [(each.key, each.on) for each in again]
    catalogue = Catalogue([key.week_ending for key in keys[::3]], ORIGIN)
    delays = [(each.on - catalogue.published_on(each.key)).days for each in plan]
    assert sum(delay <= 28 for delay in delays) > sum(delay >= 60 for delay in delays) > 0


@pytest.mark.parametrize(
    ("day", "shares", "trades", "updated"),
    [
        ("2021-11-22", 69_039_455, 1_812_409, "2021-11-22"),
        ("2022-07-05", 69_039_455, 1_812_409, "2021-11-22"),
        ("2022-07-06", 69_091_783, 1_864_740, "2022-07-06"),
        ("2023-01-15", 69_091_783, 1_864_740, "2022-07-06"),
    ],
)
def test_the_recorded_restatement_reads_as_it_was_recorded(day: str, shares: int, trades: int, updated: str) -> None:
    assert (RECORDED.on, RECORDED_KEY.tier) == (date(2022, 7, 6), Tier.NMS_TIER_1)
    service = Service(recorded_catalogue(), Options(requests_per_second=None), today=date.fromisoformat(day))
    with FinraServer(service) as server:
        tesla = of_partition("2021-11-01", "T1", issueSymbolIdentifier=RECORDED_SYMBOL)
        rows = ask(server, {"compareFilters": tesla}).json
    total = [row for row in rows if row["summaryTypeCode"] == "ATS_W_SMBL"]
    firms = [row for row in rows if row["summaryTypeCode"] == "ATS_W_SMBL_FIRM"]
    assert [(row["totalWeeklyShareQuantity"], row["totalWeeklyTradeCount"]) for row in total] == [(shares, trades)]
    assert sum(row["totalWeeklyShareQuantity"] for row in firms) == shares
    assert sum(row["totalWeeklyTradeCount"] for row in firms) == trades
    assert total[0]["lastUpdateDate"] == max(row["lastUpdateDate"] for row in firms) == updated
    assert total[0]["initialPublishedDate"] == "2021-11-22"


def test_a_sweeps_question_finds_the_recorded_restatement() -> None:
    service = Service(recorded_catalogue(), Options(requests_per_second=None), today=date(2022, 7, 6))
    newer = {"fieldName": "lastUpdateDate", "fieldValue": "2021-11-22", "compareType": "GREATER"}
    asked = [*of_partition("2021-11-01", "T1", summaryTypeCode="ATS_W_SMBL_FIRM"), newer]
    with FinraServer(service) as server:
        assert ask(server, {"compareFilters": asked, "limit": 1}).total == 1
        service.today = date(2022, 7, 5)
        assert ask(server, {"compareFilters": asked, "limit": 1}).status == 204
