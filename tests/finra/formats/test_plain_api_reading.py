"""Whatever JSON the rows of a page hold: their columns read at once give what they give one by one."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.finra.sources.api.oddities import Odd
from tests.faults.extent import EVERYTHING
from tests.finra import plain_api_reading
from tests.finra.api_pages import ATS, FIRM, TOTAL, Row, read_pages, text
from tests.finra.web_files import places, texts

NUMBERS = [
    *("1234.5", "17", "1234.0", "0", "-0", "-0.0", "-5", "0.1234567", "1e-7", "1.5E3", "1.2349750810604021E10"),
    *("1e400", "1e30", "999999999999", "1000000000000", "9" * 40, "9" * 41, "9" * 5000, "NaN", "-Infinity"),
    *("0.0000005", "0.0000015", "8999999999999.9999994", "8999999999999.9999996", "1.00000000000000000001E1"),
    *("null", '"17"', '""', "true", "[]", "{}"),
]
WORDS = [
    *('"AABB"', '"aabb"', '"BRK.B"', '""', "null", "7", "1.50", "true", "[]", '{"a":1}', r'"a\tb"', '"a|b"'),
    *(r'"\ud800"', r'"\u0000"', '"\u00e9"', r'"\u00e9"', f'"{"X" * 41}"', '"Berkshire"', '"\u2028"', r'"\ud83d\ude00"'),
]
CRDS = ["7654", "7", "116797", "116797.0", '"116797"', '"116797.0"', '"x.0"', "null", '""', "1e5", "1" * 13]
DATES = ['"2025-10-27"', '"2025-10-28"', '"2025-02-30"', '"20251027"', "null", '""', "20251027", '"0000-01-01"']
FIELDS = {
    "issueSymbolIdentifier": WORDS,
    "issueName": WORDS,
    "productTypeCode": WORDS,
    "MPID": ['"UBSA"', '"MSPL"', '""', "null", '"MMMMMMMMMMM"', "7"],
    "firmCRDNumber": CRDS,
    "marketParticipantName": WORDS,
    "totalWeeklyShareQuantity": NUMBERS,
    "totalWeeklyTradeCount": NUMBERS,
    "totalNotionalSum": NUMBERS,
    "lastUpdateDate": DATES,
    "venueColour": ['"blue"'],
}
changes = st.sets(st.sampled_from(sorted(FIELDS)), max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(FIELDS[name]) for name in sorted(names)})
)
NON_ATS_TOTAL = {**TOTAL, "summaryTypeCode": '"OTC_W_SMBL"'}
OTHER = {**TOTAL, "summaryTypeCode": '"ATS_W_VOL_STATS"'}
bases = st.sampled_from([ATS, ATS, FIRM, TOTAL, NON_ATS_TOTAL, OTHER])
rows = st.builds(lambda base, changed: {**base, **changed}, bases, changes)


@settings(max_examples=150 if EVERYTHING else 50)
@given(st.lists(st.lists(rows, max_size=5), max_size=3))
@example([[ATS, ATS], [{**ATS, "firmCRDNumber": "7"}, TOTAL]])
@example([[{**ATS, "totalWeeklyShareQuantity": number}] for number in NUMBERS])
@example([[{**ATS, "totalWeeklyTradeCount": number} for number in NUMBERS if number != "NaN"]])
@example([[{**FIRM, "issueName": word, "firmCRDNumber": crd} for word in WORDS for crd in CRDS]])
def test_pages_are_read_as_they_are_row_by_row(pages: list[list[Row]]) -> None:
    content = read_pages(*pages)
    expected = plain_api_reading.read([f"[{','.join(map(text, page))}]" for page in pages])
    assert texts(content) == expected.rows
    assert places(content) == expected.rejects
    assert content.oddities.rows[Odd.NOTIONAL] == expected.odd_notionals
    assert content.controls is not None
    assert content.listing is not None
    assert (content.listing.rows, _dates(content.listing.updates)) == (expected.listed, _dates(expected.updates))
    assert content.controls.differing == len(expected.differing)
    largest = {(one.is_ats, one.symbol) for one in content.controls.largest}
    assert largest <= expected.differing


def _dates(updates: dict[str, int]) -> dict[str, int]:
    """What is written like a date: a number in the place of one counts as its text, or not at all."""
    return {day: number for day, number in updates.items() if "-" in day}
