"""Rows of FINRA's API: each reject, and that whole columns and single rows are read alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import api_rows
from pipeline.sources.finra_api.pages import JsonRow, SummaryType

ATS, FIRMS = SummaryType.ATS_FIRMS, SummaryType.NON_ATS_FIRMS
ROW: JsonRow = {
    "issueSymbolIdentifier": "BRK.B",
    "issueName": "Berkshire",
    "MPID": "UBSA",
    "firmCRDNumber": 7654,
    "marketParticipantName": "UBS ATS",
    "productTypeCode": "CTS",
    "totalWeeklyShareQuantity": Decimal("1234.5"),
    "totalWeeklyTradeCount": 17,
    "totalNotionalSum": Decimal("99.1234567"),
    "lastUpdateDate": "2025-10-20",
    "summaryTypeCode": ATS.value,
}
FIRM = {**ROW, "MPID": None, "summaryTypeCode": FIRMS.value}


def kept(row: JsonRow, cut: SummaryType = ATS) -> tuple[str, ...]:
    columns, rejects = api_rows.read_rows([row], 1, cut)
    assert rejects == []
    return tuple(
        column[0]
        for column in (
            columns.securities, columns.venues, columns.product_types, columns.micros, columns.trades,
            columns.notionals, columns.dates,
        )
    )  # fmt: skip


def test_an_ats_is_its_mpid_and_a_firm_its_number_and_name() -> None:
    figures = ("1234500000", "17", "99123457", "2025-10-20")
    assert kept(ROW) == ("BRK.B|Berkshire", "UBSA||", "CTS", *figures)
    assert kept(FIRM, FIRMS) == ("BRK.B|Berkshire", "|7654|UBS ATS", "CTS", *figures)


@pytest.mark.parametrize("blank", [None, ""])
def test_symbol_and_issue_name_may_both_be_empty(blank: str | None) -> None:
    assert kept({**ROW, "issueSymbolIdentifier": blank, "issueName": blank})[0] == "|"


def test_a_notional_that_is_null_or_absent_is_none() -> None:
    absent = {name: value for name, value in ROW.items() if name != "totalNotionalSum"}
    assert kept({**ROW, "totalNotionalSum": None})[5] == kept(absent)[5] == ""


@pytest.mark.parametrize("unreadable", ["9", "n/a", -1, 10**14, True, [], {}, "1e400"])
def test_a_notional_that_cannot_be_read_costs_no_row(unreadable: object) -> None:
    assert kept({**ROW, "totalNotionalSum": unreadable})[5] == ""


@pytest.mark.parametrize(
    ("notional", "micros"),
    [
        (37839888, "37839888000000"),
        (Decimal("1.2349750810604021E10"), "12349750810604021"),
        (Decimal("43212469.067891"), "43212469067891"),
        (Decimal("4.3212469067892E7"), "43212469067892"),
        (0, "0"),
    ],
)
def test_notionals_are_read_as_finra_was_seen_to_write_them(notional: object, micros: str) -> None:
    assert kept({**ROW, "totalNotionalSum": notional})[5] == micros


@pytest.mark.parametrize("trades", [1234, Decimal("1234.0"), Decimal("1.234E3"), Decimal("1234.000")])
def test_a_whole_number_of_trades_may_be_written_as_a_double(trades: object) -> None:
    assert kept({**ROW, "totalWeeklyTradeCount": trades})[4] == "1234"


@pytest.mark.parametrize("crd", [116797, Decimal("116797.0"), "116797", "116797.0"])
def test_a_crd_number_is_its_digits(crd: object) -> None:
    assert kept({**FIRM, "firmCRDNumber": crd}, FIRMS)[1] == "|116797|UBS ATS"


@pytest.mark.promise(11)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"MPID": None}, "EMPTY_MPID"),
        ({"totalWeeklyShareQuantity": None}, "BAD_SHARES"),
        ({"totalWeeklyShareQuantity": "100"}, "BAD_SHARES"),
        ({"totalWeeklyShareQuantity": True}, "BAD_SHARES"),
        ({"totalWeeklyShareQuantity": Decimal("0.1234567")}, "BAD_SHARES"),
        ({"totalWeeklyShareQuantity": -5}, "NEGATIVE_SHARES"),
        ({"totalWeeklyShareQuantity": 10**13}, "TOO_LARGE"),
        ({"totalWeeklyTradeCount": Decimal("1.5")}, "BAD_TRADES"),
        ({"totalWeeklyTradeCount": -1}, "NEGATIVE_TRADES"),
        ({"totalWeeklyTradeCount": 10**12}, "TOO_LARGE"),
        ({"lastUpdateDate": "2021-02-30"}, "BAD_DATE"),
        ({"lastUpdateDate": None}, "BAD_DATE"),
        ({"issueName": "a|b"}, "BAD_CHARACTER"),
        ({"productTypeCode": "a\tb"}, "BAD_CHARACTER"),
        ({"issueName": "a\x00b"}, "BAD_CHARACTER"),
        ({"issueName": "\ud800"}, "BAD_CHARACTER"),
        ({"issueSymbolIdentifier": "X" * 41}, "TOO_LONG"),
        ({"firmCRDNumber": 10**12}, "TOO_LONG"),
    ],
)
def test_what_fits_nowhere_is_rejected_with_its_number_reason_and_text(changes: dict[str, Any], reason: str) -> None:
    columns, rejects = api_rows.read_rows([ROW, {**ROW, **changes}], 41, ATS)
    assert (columns.securities, columns.trades) == (["BRK.B|Berkshire"], ["17"])
    (reject,) = rejects
    assert (reject.part, reject.line, reject.reason) == ("ATS_W_SMBL_FIRM", 42, reason)
    assert '"summaryTypeCode": "ATS_W_SMBL_FIRM"' in reject.text
    assert "\x00" not in reject.text


@pytest.mark.parametrize(
    ("changes", "reason"), [({"MPID": "UBSA"}, "UNEXPECTED_MPID"), ({"marketParticipantName": ""}, "EMPTY_FIRM")]
)
def test_a_firm_has_a_name_and_no_mpid(changes: dict[str, str], reason: str) -> None:
    _, rejects = api_rows.read_rows([{**FIRM, **changes}], 1, FIRMS)
    assert [reject.reason for reject in rejects] == [reason]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**13), st.decimals(-5, 10**7, places=7), st.text(max_size=4),
    st.sampled_from(["2025-10-20", "2025-13-01", "UBSA", "a|b", "\t"]),
)  # fmt: skip


@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(ROW.keys() - {"summaryTypeCode"})), VALUES, max_size=2),
        min_size=1,
        max_size=4,
    )
)
def test_columns_and_single_rows_are_read_alike(changes: list[dict[str, Any]]) -> None:
    rows = [{**ROW, **change} for change in changes]
    assert api_rows.read_rows(rows, 1, ATS) == api_rows._one_by_one(rows, 1, ATS)
