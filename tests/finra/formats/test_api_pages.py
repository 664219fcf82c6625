"""Rows of FINRA's API: what makes a row, what makes a reject, and what FINRA's totals and odd fields come to."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

import pytest

from pipeline.finra.content import Content, UnreadablePayload
from pipeline.finra.rejects import RejectReason
from pipeline.finra.sources.api.decoding import read_rows
from pipeline.finra.sources.api.oddities import Odd
from tests.finra.api_pages import ATS, FIRM, TOTAL, Row, read, read_pages, text
from tests.finra.web_files import places, texts


def kept(row: Row) -> dict[str, object]:
    """The one row that a row makes."""
    content = read(row)
    assert content.rejects == []
    return content.frame.row(0, named=True)


def test_an_ats_is_its_mpid_and_a_firm_its_number_and_name() -> None:
    figures = "1234500000|17|99123457|2025-10-27"
    assert texts(read(ATS)) == [f"BRK.B|Berkshire|UBSA|||CTS|{figures}"]
    assert texts(read(FIRM)) == [f"BRK.B|Berkshire||7654|UBS ATS|CTS|{figures}"]
    assert kept(ATS) == {
        "week_ending": date(2025, 10, 3),
        "tier": "NMS_TIER_2",
        "venue_kind": "ATS",
        "symbol": "BRK.B",
        "issue_name": "Berkshire",
        "mpid": "UBSA",
        "crd": "",
        "venue_name": "UBS ATS",
        "product_type": "CTS",
        "shares": Decimal("1234.500000"),
        "trades": 17,
        "notional": Decimal("99.123457"),
        "last_update_date": date(2025, 10, 27),
    }


ALIKE = ("weekStartDate", "tierIdentifier", "lastUpdateDate", "tierDescription", "summaryStartDate")


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("value", ['"2025-11-03"', "null", '""', "7", r'"\ud800"', None])
def test_what_the_first_row_says_is_said_of_no_row_that_says_otherwise(name: str, value: str | None) -> None:
    other = {key: said for key, said in {**ATS, "issueName": '"Other"', name: value}.items() if said is not None}
    alone, beside = (
        read_rows(f"[{text(other)}]".encode()),
        read_rows(f"[{text(ATS)},{text(other)},{text(ATS)}]".encode()),
    )
    assert beside.frame[1].equals(alone.frame)
    assert beside.frame[[0, 2]].equals(read_rows(f"[{text(ATS)},{text(ATS)}]".encode()).frame)
    assert beside.missing == alone.missing


@pytest.mark.parametrize("blank", ["null", '""'])
def test_symbol_and_issue_name_may_both_be_empty(blank: str) -> None:
    row = kept({**ATS, "issueSymbolIdentifier": blank, "issueName": blank})
    assert (row["symbol"], row["issue_name"]) == ("", "")


def test_a_notional_that_is_null_or_absent_is_none() -> None:
    absent = {name: value for name, value in ATS.items() if name != "totalNotionalSum"}
    for row in (absent, {**ATS, "totalNotionalSum": "null"}):
        assert kept(row)["notional"] is None
        assert str(read(row).oddities) == ""


UNREADABLE = ['"9"', '"n/a"', "-1", "1e14", "9e12", "true", "[]", "{}", "1e400", "NaN", "0." + "1" * 60]


@pytest.mark.parametrize("notional", UNREADABLE, ids=lambda text: text[:12])
def test_a_notional_that_cannot_be_read_costs_no_row_and_is_odd(notional: str) -> None:
    content = read({**ATS, "totalNotionalSum": notional})
    assert content.frame["notional"].to_list() == [None]
    assert content.oddities.rows[Odd.NOTIONAL] == 1


@pytest.mark.parametrize(
    ("notional", "dollars"),
    [
        ("37839888", "37839888"),
        ("1.2349750810604021E10", "12349750810.604021"),
        ("43212469.067891", "43212469.067891"),
        ("4.3212469067892E7", "43212469.067892"),
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
        ("0", "0"),
    ],
)
def test_notionals_are_read_as_finra_was_seen_to_write_them(notional: str, dollars: str) -> None:
    assert kept({**ATS, "totalNotionalSum": notional})["notional"] == Decimal(dollars)


@pytest.mark.parametrize("trades", ["1234", "1234.0", "1.234E3", "1234.000"])
def test_a_whole_number_of_trades_may_be_written_as_a_double(trades: str) -> None:
    assert kept({**ATS, "totalWeeklyTradeCount": trades})["trades"] == 1234


@pytest.mark.parametrize("zero", ["0", "-0", "0.0", "-0.0", "-0E0", "-0.000e3"])
def test_nothing_is_nothing_whatever_its_sign(zero: str) -> None:
    row = kept({**ATS, "totalWeeklyShareQuantity": zero, "totalWeeklyTradeCount": zero})
    assert (str(row["shares"]), row["trades"]) == ("0.000000", 0)


@pytest.mark.parametrize("crd", ["116797", "116797.0", '"116797"', '"116797.0"'])
def test_a_crd_number_is_its_digits(crd: str) -> None:
    assert kept({**FIRM, "firmCRDNumber": crd})["crd"] == "116797"


@pytest.mark.parametrize(("figure", "symbol"), [("1234", "1234"), ("true", "True"), ("null", ""), ("1.50", "1.50")])
def test_a_symbol_of_another_type_is_its_text(figure: str, symbol: str) -> None:
    assert kept({**ATS, "issueSymbolIdentifier": figure})["symbol"] == symbol


MISFITS = {
    RejectReason.EMPTY_MPID: [("MPID", "null"), ("MPID", '""')],
    RejectReason.BAD_SHARES: [
        ("totalWeeklyShareQuantity", figure)
        for figure in (
            *("null", '"100"', "true", "0.1234567", "1e-7", "1.00000000000000000001", "[1]", "{}", "NaN", '"NaN"'),
            *("Infinity", "1e400", "-1e400", "1" * 1000, "1" * 5000, "0." + "1" * 5000),
        )
    ],
    RejectReason.NEGATIVE_SHARES: [("totalWeeklyShareQuantity", figure) for figure in ("-5", "-10.5", "-1e-3")],
    RejectReason.TOO_LARGE: [
        ("totalWeeklyShareQuantity", "1" + "0" * 12),
        ("totalWeeklyShareQuantity", "1e30"),
        ("totalWeeklyTradeCount", "1" + "0" * 12),
    ],
    RejectReason.BAD_TRADES: [("totalWeeklyTradeCount", figure) for figure in ("1.5", "null", '"7"', "false", "1e400")],
    RejectReason.NEGATIVE_TRADES: [("totalWeeklyTradeCount", "-1")],
    RejectReason.BAD_DATE: [
        ("lastUpdateDate", text) for text in ('"2021-02-30"', "null", '""', "20251027", '"20251027"', '["2025-10-27"]')
    ],
    RejectReason.BAD_CHARACTER: [
        ("issueName", '"a|b"'),
        ("productTypeCode", r'"a\tb"'),
        ("issueName", r'"a\u0000b"'),
        ("issueName", r'"\ud800"'),
        ("issueSymbolIdentifier", '["AAPL"]'),
        ("MPID", '{"id":"UBSA"}'),
    ],
    RejectReason.TOO_LONG: [
        ("issueSymbolIdentifier", f'"{"X" * 41}"'),
        ("issueName", f'"{"X" * 401}"'),
        ("firmCRDNumber", "1" + "0" * 12),
    ],
}


@pytest.mark.promise(11)
@pytest.mark.parametrize("reason", MISFITS)
def test_a_value_that_fits_nowhere_costs_its_row_and_no_other(reason: RejectReason) -> None:
    for name, value in MISFITS[reason]:
        content = read(ATS, {**ATS, "issueSymbolIdentifier": '"ZZZ"', name: value}, {**ATS, "issueName": '"Last"'})
        assert places(content) == [("ATS_W_SMBL_FIRM", 2, reason)], value[:50]
        assert content.frame["issue_name"].to_list() == ["Berkshire", "Last"]


@pytest.mark.promise(11)
def test_a_reject_is_shown_as_finra_wrote_it() -> None:
    odd = {**ATS, "totalWeeklyShareQuantity": "1.00000000000000000001E0", "issueName": r'"a\u0000b"'}
    (reject,) = read_pages([ATS], [FIRM, odd, FIRM]).rejects[:1]
    assert reject.text == text(odd)


@pytest.mark.parametrize(
    ("name", "is_sample"),
    [('"UBS ATS (SAMPLE)"', True), (r'"UBS ATS \u0028SAMPLE)"', True), ('"UBS ATS"', False), ("null", False)],
)
def test_invented_venues_are_known_by_their_mark(name: str, is_sample: bool) -> None:
    assert read_rows(f"[{text(ATS)},{text({**ATS, 'marketParticipantName': name})}]".encode()).is_sample is is_sample


def test_a_firm_has_a_name_and_no_mpid() -> None:
    content = read({**FIRM, "MPID": '"UBSA"'}, {**FIRM, "marketParticipantName": '""'})
    assert [reject.reason for reject in content.rejects] == ["UNEXPECTED_MPID", "EMPTY_FIRM"]


def test_rows_of_a_cut_are_numbered_over_its_pages() -> None:
    bad = {"totalWeeklyTradeCount": "null"}
    content = read_pages([ATS, {**ATS, **bad}], [{**FIRM, **bad}, TOTAL, {**ATS, **bad}])
    assert [(part, line) for part, line, _ in places(content)] == [
        ("ATS_W_SMBL_FIRM", 2),
        ("ATS_W_SMBL_FIRM", 3),
        ("OTC_W_SMBL_FIRM", 1),
    ]


def test_a_row_that_comes_twice_is_one_reject_and_counts_once() -> None:
    content = read(ATS, ATS, TOTAL)
    assert places(content) == [("ATS_W_SMBL_FIRM", 2, "DUPLICATE_KEY")]
    assert (content.rows_in, content.rows_kept, content.controls and content.controls.differing) == (2, 1, 0)


def test_one_mpid_under_two_crd_numbers_is_two_rows() -> None:
    other = {**ATS, "firmCRDNumber": "7", "totalWeeklyShareQuantity": "11"}
    for rows in ((ATS, other), (other, ATS)):
        content = read(*rows)
        assert content.rejects == []
        told_apart = [("", Decimal(11)), ("7654", Decimal("1234.5"))]
        assert sorted(content.frame.select("crd", "shares").iter_rows()) == told_apart


def test_totals_are_finras_and_tell_where_firms_differ() -> None:
    more = {**ATS, "MPID": '"MSPL"', "totalWeeklyShareQuantity": "0.5", "totalWeeklyTradeCount": "1"}
    agreeing = {**TOTAL, "totalWeeklyShareQuantity": "1235.999999", "totalWeeklyTradeCount": "18"}
    lost = {**TOTAL, "issueSymbolIdentifier": '"LOST"', "totalWeeklyShareQuantity": "45030.1234567"}
    controls = read(ATS, more, agreeing, lost).controls
    assert controls is not None
    assert (controls.symbols, controls.shares, controls.trades) == (2, Decimal("46266.1234557"), 35)
    (unequal,) = controls.largest
    assert str(unequal) == "LOST ATS: firms 0 shares / 0 trades, total 45,030.1234567 / 17"


@pytest.mark.parametrize("figure", ["null", '"1234.5"', "-5", "1e12", "1e400", "NaN", "true", "[1]"])
def test_a_total_that_is_no_quantity_counts_as_nothing(figure: str) -> None:
    content = read(ATS, {**TOTAL, "totalWeeklyShareQuantity": figure})
    assert content.rejects == []
    assert content.controls is not None
    assert (content.controls.shares, content.controls.differing) == (Decimal(0), 1)


def test_no_sum_of_large_totals_overflows() -> None:
    rows = [{**TOTAL, "issueName": f'"{at}"', "totalWeeklyShareQuantity": "999999999999.999999"} for at in range(3000)]
    controls = read(*rows).controls
    assert controls is not None
    assert controls.shares == 3000 * Decimal("999999999999.999999")


def test_other_cuts_are_passed_over() -> None:
    content = read(ATS, TOTAL, {**TOTAL, "summaryTypeCode": '"ATS_W_VOL_STATS"'})
    assert (content.rows_in, content.listing and content.listing.rows) == (1, 2)


def test_the_listing_counts_rejects_and_totals_with_their_dates() -> None:
    content = read(ATS, {**FIRM, "totalWeeklyTradeCount": "null"}, {**TOTAL, "lastUpdateDate": '"2025-11-01"'})
    assert content.listing is not None
    assert content.listing.updates == Counter({"2025-10-27": 2, "2025-11-01": 1})
    assert (content.listed_rows, content.listed_update) == (3, (date(2025, 11, 1), 1))


def test_odd_rows_are_kept_and_counted() -> None:
    odd = {
        "totalNotionalSum": '"n/a"',
        "summaryStartDate": '"2025-09-22"',
        "tierDescription": '"NMS Tier 9"',
        "lastUpdateDate": '"2025-10-02"',
    }
    content = read(*({**ATS, "issueName": f'"{name}"', name: value} for name, value in odd.items()))
    assert content.rows_kept == 4
    assert content.oddities.rows == dict.fromkeys(Odd, 1)


def test_a_new_field_is_told_and_read_past() -> None:
    content = read(ATS, {**FIRM, "venueColour": '"blue"', "HISTORICALWEEK": '"x"'})
    assert (content.rows_kept, content.oddities.fields) == (2, frozenset({"venueColour"}))


@pytest.mark.parametrize("spelt", ["historicalWeek", "historicalweek"])
def test_the_fields_of_the_history_are_known(spelt: str) -> None:
    assert read({**ATS, spelt: '"2025-W40"'}).oddities.fields == frozenset()


def unreadable(*rows: Row, **limits: float) -> str:
    with pytest.raises(UnreadablePayload) as refused:
        read(*rows, **limits)  # type: ignore[arg-type]
    return str(refused.value)


def test_rows_that_lack_a_field_are_refused() -> None:
    lacking = {name: value for name, value in ATS.items() if name != "totalWeeklyTradeCount"}
    assert unreadable(ATS, lacking) == "the pages are not FINRA's rows: they lack totalWeeklyTradeCount"


def test_too_many_rejects_and_too_many_rows_are_refused() -> None:
    bad = {**ATS, "totalWeeklyTradeCount": "null"}
    assert unreadable(ATS, bad, max_reject_share=0.4) == (
        "1 of 2 rows were rejected, more than 40% allows: line 2 BAD_TRADES"
    )
    assert "MARKETSPINE_MAX_ROWS" in unreadable(ATS, FIRM, max_rows=1)
    assert read(ATS, TOTAL, max_rows=1).rows_kept == 1


def test_pages_without_rows_are_content_without_rows() -> None:
    empty: list[Content] = [read(), read_pages()]
    assert [(content.rows_in, content.listed_rows, content.shares) for content in empty] == [(0, 0, Decimal(0))] * 2
