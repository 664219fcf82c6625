"""Pages, headers, filters and formats of the replies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.finra_service import Empty, FinraServer, Options
from tests.test_finra_service.asking import (
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


def test_a_page_ends_at_the_limit_and_its_headers_say_how_many_rows_there_are(finra: FinraServer) -> None:
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


def test_download_details_list_weeks_tiers_and_summary_types_and_may_be_sorted(finra: FinraServer) -> None:
    rows = ask(finra, {"sortFields": ["-weekStartDate"]}, DETAILS).json
    assert [row["weekStartDate"] for row in rows] == ["2025-11-03"] * 20 + ["2025-10-27"] * 20
    assert rows[0] == {
        "weekStartDate": "2025-11-03",
        "tierIdentifier": "T1",
        "tierDescription": "NMS Tier 1",
        "summaryTypeCode": "ATS_W_SMBL_FIRM",
    }


def test_weeks_beyond_the_window_are_served_by_the_historic_dataset_alone_with_its_few_filters() -> None:
    options = Options(requests_per_second=None, recent_weeks=52)
    with FinraServer(small_service(options, today=date(2027, 1, 15))) as server:
        assert ask(server, {"compareFilters": FIRST}).status == 204
        assert ask(server, {"compareFilters": FIRST}, HISTORIC).json[0]["weekStartDate"] == "2025-10-27"
        assert ask(server, {"compareFilters": equal(historicalWeek="2025-10-29")}, HISTORIC).status == 200
        assert ask(server, {"compareFilters": equal(historicalMonth="2025-Nov")}, HISTORIC).total > 0
        assert ask(server, {"compareFilters": [*FIRST, *equal(MPID="UBSA")]}, HISTORIC).status == 400
        assert ask(server, {"compareFilters": equal(tierIdentifier="T1")}, HISTORIC).status == 400


def test_an_unknown_dataset_is_not_found_and_names_fold_case(finra: FinraServer) -> None:
    assert ask(finra, {}, "/data/group/otcMarket/name/weeklySumary").status == 404
    assert ask(finra, {"limit": 1}, SUMMARY.lower().replace("/data", "/DATA")).status == 200
