"""Pages, headers, filters and formats of the replies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_finra import Empty, FinraServer, HistoricFields, Options
from tests.test_fake_finra.asking import (
    DETAILS,
    HISTORIC,
    PARTITIONS,
    SUMMARY,
    ask,
    equal,
    get,
    of_partition,
    small_service,
)

FIRST = of_partition("2025-10-27", "T1")


def test_a_page_ends_at_its_limit_and_counts_rows(finra: FinraServer) -> None:
    whole = ask(finra, {"compareFilters": FIRST})
    page = ask(finra, {"compareFilters": FIRST, "limit": 4, "offset": 2})
    assert page.json == whole.json[2:6]
    assert page.total == whole.total == len(whole.json)
    assert page.headers["Record-Offset"] == "2"
    assert page.headers["Record-Limit"] == "4"
    assert page.headers["Record-Max-Limit"] == "5000"
    assert whole.headers["Record-Limit"] == "1000"


def test_each_reply_has_a_request_id_of_its_own(finra: FinraServer) -> None:
    ids = [ask(finra, {"limit": 1}).headers["FINRA-api-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert [entry.request_id for entry in finra.service.log.entries()] == ids


def test_a_payload_limit_makes_a_short_page_that_is_not_the_last() -> None:
    options = Options(requests_per_second=None, max_payload=2_000)
    with FinraServer(small_service(options)) as server:
        rows: list[object] = []
        pages = 0
        total = ask(server, {"compareFilters": FIRST}).total
        while len(rows) < total:
            page = ask(server, {"compareFilters": FIRST, "limit": 5000, "offset": len(rows)})
            assert len(page.body) <= 2_000
            assert page.headers["Record-Limit"] == "5000"
            rows += page.json
            pages += 1
    assert pages > 1
    with FinraServer(small_service()) as unlimited:
        assert rows == ask(unlimited, {"compareFilters": FIRST, "limit": 5000}).json


def test_a_sort_without_both_partition_keys_is_refused_with_finras_message(finra: FinraServer) -> None:
    answer = ask(finra, {"compareFilters": equal(weekStartDate="2025-10-27"), "sortFields": ["+MPID"]})
    assert answer.status == 400
    assert answer.json["statusCode"] == 400
    assert answer.json["message"].startswith("Sorting is allowed only if all partitions keys are specified")
    assert answer.json["message"].endswith("tierIdentifier")


def test_a_lawful_sort_orders_by_each_field_in_turn(finra: FinraServer) -> None:
    rows = ask(finra, {"compareFilters": FIRST, "sortFields": ["+summaryTypeCode", "-totalWeeklyTradeCount"]}).json
    keys = [(row["summaryTypeCode"], -row["totalWeeklyTradeCount"]) for row in rows]
    assert keys == sorted(keys)


def test_an_offset_above_the_maximum_is_refused(finra: FinraServer) -> None:
    assert ask(finra, {"offset": 500_000}).status == 204
    assert ask(finra, {"offset": 500_001}).status == 400


def test_filters_of_a_get_are_silently_ignored(finra: FinraServer) -> None:
    answer = get(finra, f"{SUMMARY}?weekStartDate=2025-11-03&tierIdentifier=T2&limit=3")
    assert answer.status == 200
    assert [(row["weekStartDate"], row["tierIdentifier"]) for row in answer.json] == [("2025-10-27", "T1")] * 3


def test_without_a_filter_the_oldest_partition_comes_first(finra: FinraServer) -> None:
    rows = ask(finra, {"limit": 5000, "fields": ["weekStartDate"]}).json
    weeks = [row["weekStartDate"] for row in rows]
    assert weeks == sorted(weeks)
    assert set(weeks) == {"2025-10-27", "2025-11-03"}


def test_without_an_accept_header_the_reply_is_csv(finra: FinraServer) -> None:
    asked = {"compareFilters": FIRST, "fields": ["weekStartDate", "MPID"], "limit": 1}
    answer = ask(finra, asked, headers={})
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.body.decode().splitlines() == [
        "weekStartDate,MPID",
        f'"2025-10-27","{ask(finra, asked).json[0]["MPID"]}"',
    ]


def test_nothing_published_is_204_or_an_empty_list_as_the_options_say() -> None:
    asked = {"compareFilters": of_partition("2030-01-07", "T1")}
    seen = {}
    for empty in Empty:
        with FinraServer(small_service(Options(requests_per_second=None, empty=empty))) as server:
            answer = ask(server, asked)
            seen[empty] = (answer.status, answer.body, answer.headers["Record-Total"])
    assert seen == {
        Empty.NO_CONTENT: (204, b"", "0"),
        Empty.BARE_NO_CONTENT: (204, b"", None),
        Empty.EMPTY_LIST: (200, b"[]", "0"),
    }


def _totals(rows: list[dict[str, Any]], summary_type: str) -> dict[str, tuple[Decimal, int]]:
    """Shares and trades by symbol, over the rows of one cut."""
    totals: dict[str, tuple[Decimal, int]] = {}
    for row in rows:
        if row["summaryTypeCode"] == summary_type:
            shares, trades = totals.get(row["issueSymbolIdentifier"], (Decimal(0), 0))
            figures = shares + row["totalWeeklyShareQuantity"], trades + row["totalWeeklyTradeCount"]
            totals[row["issueSymbolIdentifier"]] = figures
    return totals


@pytest.mark.parametrize("family", ["ATS", "OTC"])
def test_firm_rows_of_a_symbol_add_up_to_its_total(finra: FinraServer, family: str) -> None:
    rows = ask(finra, {"compareFilters": FIRST, "limit": 5000}).json
    assert len(_totals(rows, f"{family}_W_SMBL")) > 1
    assert _totals(rows, f"{family}_W_SMBL") == _totals(rows, f"{family}_W_SMBL_FIRM")


def test_non_ats_rows_have_no_mpid_and_the_pool_has_crd_0(finra: FinraServer) -> None:
    rows = ask(finra, {"compareFilters": equal(summaryTypeCode="OTC_W_SMBL_FIRM"), "limit": 5000}).json
    assert {row["MPID"] for row in rows} == {None}
    assert {row["marketParticipantName"] for row in rows if row["firmCRDNumber"] == 0} == {"De Minimis Firms"}


def test_partitions_are_listed_newest_first_market_wide_ones_too(finra: FinraServer) -> None:
    answer = get(finra, PARTITIONS).json
    assert answer["partitionFields"] == ["weekStartDate", "tierIdentifier"]
    assert [each["partitions"] for each in answer["availablePartitions"]] == [
        [week, tier] for week in ("2025-11-03", "2025-10-27") for tier in ("NA", "OTCE", "T2", "T1")
    ]


def test_partitions_may_be_forbidden() -> None:
    with FinraServer(small_service(Options(partitions_forbidden=True))) as server:
        assert get(server, PARTITIONS).status == 403


def test_download_details_list_weeks_tiers_and_summary_types(finra: FinraServer) -> None:
    rows = ask(finra, {}, DETAILS).json
    assert sorted(row["weekStartDate"] for row in rows) == ["2025-10-27"] * 20 + ["2025-11-03"] * 20
    assert rows[0] == {
        "weekStartDate": "2025-10-27",
        "tierIdentifier": "T1",
        "tierDescription": "NMS Tier 1",
        "summaryTypeCode": "ATS_W_SMBL_FIRM",
    }


def test_download_details_are_sorted_only_for_one_summary_type_and_tier(finra: FinraServer) -> None:
    newest_first = {"sortFields": ["-weekStartDate"]}
    pinned = equal(summaryTypeCode="ATS_W_SMBL", tierIdentifier="T2")
    assert ask(finra, newest_first, DETAILS).status == 400
    assert ask(finra, {**newest_first, "compareFilters": pinned[:1]}, DETAILS).status == 400
    rows = ask(finra, {**newest_first, "compareFilters": pinned}, DETAILS).json
    assert [row["weekStartDate"] for row in rows] == ["2025-11-03", "2025-10-27"]


def test_no_more_sort_fields_are_taken_than_have_been_seen(finra: FinraServer) -> None:
    names = ["+summaryTypeCode", "+MPID", "+issueName", "+firmCRDNumber"]
    assert ask(finra, {"compareFilters": FIRST, "sortFields": names[:3]}).status == 200
    assert ask(finra, {"compareFilters": FIRST, "sortFields": names}).status == 400


HISTORIC_DAY = date(2027, 1, 15)  # both weeks are in the history, and in weeklySummary no more
T1 = equal(tierIdentifier="T1")
LAWFUL = [
    [*equal(weekStartDate="2025-10-27"), *T1],
    [*equal(historicalWeek="2025-10-29"), *T1],
    [*equal(historicalMonth="2025-Nov"), *T1],
]
UNLAWFUL: dict[str, dict[str, object]] = {
    "no date": {"compareFilters": T1},
    "no tier": {"compareFilters": equal(weekStartDate="2025-10-27")},
    "two dates": {"compareFilters": [*LAWFUL[0], *equal(historicalWeek="2025-10-29")]},
    "another filter": {"compareFilters": [*LAWFUL[0], *equal(MPID="UBSA")]},
    "the summary type": {"compareFilters": [*LAWFUL[0], *equal(summaryTypeCode="ATS_W_SMBL")]},
    "a comparison": {
        "compareFilters": [*T1, {"fieldName": "weekStartDate", "fieldValue": "2025-10-27", "compareType": "GTE"}]
    },
    "a range": {
        "compareFilters": LAWFUL[0],
        "dateRangeFilters": [{"fieldName": "weekStartDate", "startDate": "2025-10-27", "endDate": "2025-11-03"}],
    },
    "a domain": {"compareFilters": LAWFUL[0], "domainFilters": [{"fieldName": "tierIdentifier", "values": ["T1"]}]},
    "a sort": {"compareFilters": LAWFUL[0], "sortFields": ["+MPID"]},
    "a Tuesday": {"compareFilters": [*equal(weekStartDate="2025-10-28"), *T1]},
    "before its window": {"compareFilters": [*equal(weekStartDate="2019-10-28"), *T1]},
    "less than a year ago": {"compareFilters": [*equal(weekStartDate="2026-10-26"), *T1]},
}


@pytest.fixture
def history() -> Iterator[FinraServer]:
    options = Options(requests_per_second=None, recent_weeks=52)
    with FinraServer(small_service(options, today=HISTORIC_DAY)) as server:
        yield server


@pytest.mark.parametrize("filters", LAWFUL, ids=["a week", "a day of a week", "a month"])
def test_the_history_serves_what_the_summary_has_no_more(history: FinraServer, filters: list[dict[str, str]]) -> None:
    assert ask(history, {"compareFilters": LAWFUL[0]}).status == 204
    answer = ask(history, {"compareFilters": filters}, HISTORIC)
    assert answer.status == 200
    assert answer.json[0]["tierIdentifier"] == "T1"


@pytest.mark.parametrize("body", UNLAWFUL.values(), ids=UNLAWFUL.keys())
def test_the_history_takes_no_other_question(history: FinraServer, body: dict[str, object]) -> None:
    assert ask(history, body, HISTORIC).status == 400


def test_a_date_outside_the_history_is_refused_with_its_window(history: FinraServer) -> None:
    answer = ask(history, UNLAWFUL["before its window"], HISTORIC)
    assert answer.json["message"] == "weekStartDate 2019-10-28 is not between minDate 2022-01-14 and maxDate 2026-01-16"


@pytest.mark.parametrize("spelt", [*HistoricFields, None], ids=["camel case", "lower case", "left out"])
def test_rows_of_the_history_carry_its_own_fields_in_either_case(spelt: HistoricFields | None) -> None:
    options = Options(requests_per_second=None, historic_fields=spelt)
    with FinraServer(small_service(options, today=HISTORIC_DAY)) as server:
        row = ask(server, {"compareFilters": LAWFUL[0]}, HISTORIC).json[0]
    own = {name: value for name, value in row.items() if name.lower().startswith("historical")}
    week, month = ("historicalWeek", "historicalMonth") if spelt is HistoricFields.CAMEL else HISTORIC_LOWER
    assert own == ({week: "2025-10-27", month: "2025-10-01"} if spelt else {})


HISTORIC_LOWER = ("historicalweek", "historicalmonth")


def test_an_unknown_dataset_is_not_found_and_names_fold_case(finra: FinraServer) -> None:
    assert ask(finra, {}, "/data/group/otcMarket/name/weeklySumary").status == 404
    assert ask(finra, {"limit": 1}, SUMMARY.lower().replace("/data", "/DATA")).status == 200
