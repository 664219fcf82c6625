"""The rules for a line of the web file: what makes a row, and what makes a reject."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.finra.rejects import RejectedLine, RejectReason
from tests.finra.web_files import places, read, read_firms, texts
from tests.support.sources_in_memory import psv

GOOD = ("OTC", "AABB", "Asia Broadband Inc", "OTCN OTC LINK", "OTCN", "6753871", "171", "2025-12-15")
FIRM = ("OTC", "AABB", "Asia Broadband Inc", "De Minimis Firms", "", "6753871", "171", "2025-12-15")


def line(base: tuple[str, ...] = GOOD, **changed: str) -> str:
    """A line in which some columns are others: `shares="1.5"`."""
    at = {"tier": 0, "symbol": 1, "issue": 2, "name": 3, "mpid": 4, "shares": 5, "trades": 6, "updated": 7}
    fields = list(base)
    for column, text in changed.items():
        fields[at[column]] = text
    return "|".join(fields)


NO_NUMBERS = ("+1", "1_000", "1,000", " 1", "1 ", "1e5", "NaN", "", "1.", ".5", "\u0661\u0662", "\uff11", "\u00b2")
NO_DATES = (
    *("", "20251215", "2025-W51-1", "2025-02-29", "2025-12-15 ", "\r2025-12-15", "2025-12-15T00:00:00"),
    *("\uff12025-12-15", "\uff12\uff10\uff12\uff15-12-15", "0000-01-01", "2025-1-05", "2025-12-5", "12025-12-05"),
)
MISFITS = {
    "BAD_SHARES": [line(shares=text) for text in (*NO_NUMBERS, "1.2.3", "1.1234567", "1.00000000000000000001")],
    "NEGATIVE_SHARES": [line(shares=text) for text in ("-5", "-0.5", "-0")],
    "BAD_TRADES": [line(trades=text) for text in (*NO_NUMBERS, "1.0")],
    "NEGATIVE_TRADES": [line(trades="-1"), line(trades="-1.5")],
    "TOO_LARGE": [
        line(shares="1" + "0" * 12),
        line(shares="0" * 9 + "1" + "0" * 12 + ".5"),
        line(trades="1" + "0" * 12),
    ],
    "BAD_DATE": [line(updated=text) for text in NO_DATES],
    "WRONG_TIER": [line(tier=text) for text in ("NMS Tier 1", "", "NA")],
    "EMPTY_MPID": [line(mpid="")],
    "TOO_LONG": [line(mpid="M" * 11), line(symbol="S" * 41), line(issue="i" * 401), line(name="\u00e9" * 401)],
    "FIELD_COUNT": [line(issue="a|b"), line().rpartition("|")[0], line() + "|", "", " ", "Records: 2", "|" * 5000],
}
REJECTED = [(text, reason) for reason, texts in MISFITS.items() for text in texts]


@pytest.mark.promise(11)
@pytest.mark.parametrize("reason", MISFITS)
def test_a_reject_has_number_reason_and_text(reason: str) -> None:
    for text in MISFITS[reason]:
        content = read(psv(line(), text, line(symbol="ZZZZ")))
        assert content.rejects == [RejectedLine("ats.psv", 3, RejectReason(reason), text)]
        assert content.frame["symbol"].to_list() == ["AABB", "ZZZZ"]
        assert content.frame["shares"].to_list() == [6753871] * 2


def test_each_misfit_of_a_file_has_its_own_reason() -> None:
    content = read(psv(*(text for text, _ in REJECTED)))
    assert places(content) == [("ats.psv", number, reason) for number, (_, reason) in enumerate(REJECTED, 2)]


def test_a_nul_byte_is_rejected_and_shown() -> None:
    (reject,) = read(psv(line(issue="a\0b"))).rejects
    assert (reject.reason, reject.text) == (RejectReason.BAD_CHARACTER, line(issue="a\\0b"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (line(FIRM, mpid="OTCN"), RejectReason.UNEXPECTED_MPID),
        (line(FIRM, name=""), RejectReason.EMPTY_FIRM),
        (line(FIRM, name="n" * 401), RejectReason.TOO_LONG),
    ],
)
def test_a_non_ats_line_has_a_firm_and_no_mpid(text: str, reason: RejectReason) -> None:
    content = read_firms(line(FIRM), text)
    assert content.rejects == [RejectedLine("nonats.psv", 3, reason, text)]
    assert content.misplaced == (reason is RejectReason.UNEXPECTED_MPID)


def test_of_several_reasons_the_first_is_given() -> None:
    mended = [
        line(tier="\0", mpid="", symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(tier="", mpid="", symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(mpid="", symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(shares="x", trades="x", updated="x"),
        line(trades="x", updated="x"),
        line(updated="x"),
    ]
    reasons = [reject.reason for reject in read(psv(*mended)).rejects]
    assert reasons == [
        *("BAD_CHARACTER", "WRONG_TIER", "EMPTY_MPID", "TOO_LONG", "BAD_SHARES", "BAD_TRADES", "BAD_DATE"),
    ]


def test_a_short_line_and_a_long_one_do_not_make_two_rows() -> None:
    """A line end and a pipe changed places: together the two lines have the fields of two rows, all as they should be."""
    content = read(psv("OTC|A|I|N|M|1|1", "2025-12-15|OTC|B|I|N|M|1|1|2025-12-15"))
    assert content.rows_kept == 0
    assert places(content) == [("ats.psv", 2, "FIELD_COUNT"), ("ats.psv", 3, "FIELD_COUNT")]


def test_an_unescaped_quote_swallows_no_row() -> None:
    symbols = ['"', 'A "quoted', "B", '"C"', 'D"', "E"]
    content = read(psv(*(line(symbol=symbol, issue=f'"{symbol}', name='"') for symbol in symbols)))
    rows = content.frame.select("symbol", "issue_name", "venue_name").rows()
    assert sorted(rows) == sorted((symbol, f'"{symbol}', '"') for symbol in symbols)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("1.5", "1.5"),
        ("1.50", "1.5"),
        ("001.5000000000", "1.5"),
        ("0", "0"),
        ("0.000001", "0.000001"),
        ("0000", "0"),
        ("0.1000000", "0.1"),
        ("999999999999.999999", "999999999999.999999"),
        ("999999999999.999999" + "0" * 40, "999999999999.999999"),
        ("0" * 30 + "1", "1"),
    ],
)
def test_a_share_quantity_is_read_exactly(text: str, shares: str) -> None:
    assert read(psv(line(shares=text))).frame["shares"].to_list() == [Decimal(shares)]


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("007", 7), ("0" * 40 + "9" * 12, 999999999999)])
def test_a_trade_count_is_read_without_leading_zeros(text: str, count: int) -> None:
    assert read(psv(line(trades=text))).frame["trades"].to_list() == [count]


@pytest.mark.timeout(10)
def test_a_long_field_of_zeros_is_read_in_linear_time() -> None:
    zeros = "0" * 1_000_000
    spoilt = read(psv(line(shares=f"{zeros}x"), line(trades=f"{zeros}x"), line(shares=f"1.{zeros}1")))
    assert [reject.reason for reject in spoilt.rejects] == ["BAD_SHARES", "BAD_TRADES", "BAD_SHARES"]
    whole = read(psv(line(shares=f"{zeros}1.5{zeros}", trades=f"{zeros}7")))
    assert whole.frame.select("shares", "trades").rows() == [(Decimal("1.5"), 7)]


NAMES = [
    "",
    'A "quoted" name',
    "back\\slash",
    "\\N",
    "a\tb",
    "a\rb",
    "\u2028",
    "\x85",
    "\x1c",
    "\ufeff",
    " padded ",
    "S" * 40,
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_as_they_are(name: str) -> None:
    venue = read(psv(line(symbol=name, issue=name, name=name)))
    assert venue.frame.select("symbol", "issue_name", "venue_name").rows() == [(name, name, name)]
    firm = read_firms(line(FIRM, name=name or "Firm"))
    assert firm.frame["venue_name"].to_list() == [name or "Firm"]
    assert texts(firm) == [f"AABB|Asia Broadband Inc|||{name or 'Firm'}||6753871000000|171||2025-12-15"]


@pytest.mark.parametrize("tier", ["OTC", "otc", "OTCE", " OTC "])
def test_a_tier_may_be_spelled_as_finra_spells_it_elsewhere(tier: str) -> None:
    assert read(psv(line(tier=tier))).rejects == []


@pytest.mark.parametrize("updated", ["0001-01-01", "2024-02-29", "9999-12-31"])
def test_any_day_of_the_calendar_is_a_date(updated: str) -> None:
    content = read(psv(line(updated=updated)))
    assert str(content.frame["last_update_date"].item()) == updated
    assert texts(content)[0].endswith(f"|{updated}")


def test_a_line_without_an_end_is_kept_by_how_it_begins() -> None:
    (reject,) = read(psv("x" * 20_000_000)).rejects
    assert (len(reject.text), reject.text[-4:], reject.reason) == (1000, "x...", "FIELD_COUNT")
