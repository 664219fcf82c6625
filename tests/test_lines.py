"""The rules for a line, and that the two readers of a block give the same answers."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calendar import Tier
from pipeline.lines import Columns, LineRules, RejectedLine, RejectReason, read_block, read_lines
from pipeline.parsing import UnreadablePayload, column_order

IN_ORDER = tuple(range(8))
ATS = LineRules("ats.psv", Tier.OTC, is_ats=True, order=IN_ORDER)
NON_ATS = LineRules("nonats.psv", Tier.OTC, is_ats=False, order=IN_ORDER)
GOOD = ("OTC", "AABB", "Asia Broadband Inc", "OTCN OTC LINK", "OTCN", "6753871", "171", "2025-12-15")
FIRM = ("OTC", "AABB", "Asia Broadband Inc", "De Minimis Firms", "", "6753871", "171", "2025-12-15")
TIER, SYMBOL, ISSUE, NAME, MPID, SHARES, TRADES, DATE = range(8)


def line(base: tuple[str, ...] = GOOD, **changed: str) -> str:
    """A line in which some columns are others: `shares="1.5"`."""
    at = {"tier": 0, "symbol": 1, "issue": 2, "name": 3, "mpid": 4, "shares": 5, "trades": 6, "updated": 7}
    fields = list(base)
    for column, text in changed.items():
        fields[at[column]] = text
    return "|".join(fields)


def read(text: str, rules: LineRules = ATS) -> tuple[Columns, list[RejectedLine]]:
    """One line, which is line 2 of its file."""
    return read_lines(text, 2, rules)


# What both readers take or leave, by column; the first three of each are usual ones.
NUMBERS = [
    *("1", "171", "6753871"),
    *("0", "00", "007", "0.5", "00.5", "1.5", "1.50", "1.123456", "1.1234567", "1.1234560", "1.", ".5", ".", "1.2.3"),
    *(
        "+1",
        "-1",
        "-0",
        "-1.5",
        "1_000",
        "1,000",
        " 1",
        "1 ",
        "1e5",
        "1E5",
        "0x10",
        "NaN",
        "Infinity",
        "",
        "\t1",
        "1\r",
    ),
    *(
        "\u0661",
        "\uff11",
        "\u00b2",
        "1\u0660",
        "9" * 12,
        "9" * 13,
        "9" * 15,
        "9" * 16,
        "9" * 12 + ".999999",
        "0" * 30 + "1",
    ),
]
NAMES = [
    "AABB",
    "ABRpD",
    "BRK.B",
    "",
    'A "quoted" name',
    "back\\slash",
    "\\N",
    "a\tb",
    "a\rb",
    "\u2028",
    "\x85",
    "\x1c",
]
ODD_NAMES = ["N\0L", "s" * 40, "s" * 41, "n" * 400, "n" * 401, "\u00e9" * 400, "\ufeff"]
MPIDS = ["OTCN", "UBSA", "SGMT", "", " ", "M" * 10, "M" * 11, "\0"]
TIERS = ["OTC", "OTC", "OTC", "otc", "OTCE", " OTC", "NMS Tier 1", "NMS_TIER_2", "", "\0"]
DATES = [
    "2025-12-15",
    "2025-12-15",
    "2025-12-22",
    "2025-02-29",
    "20251215",
    "2025-12-5",
    "2025-W50-1",
    "",
    "2025-12-15 ",
]
ODD_DATES = ["2025-12-15\r", "\uff12\uff10\uff12\uff15-12-15", "0000-01-01", "0001-01-01", "2025-12-15T00:00:00", "OTC"]


def mostly(texts: list[str]) -> st.SearchStrategy[str]:
    """One of the first three as often as any of the others."""
    return st.sampled_from(texts[:3]) | st.sampled_from(texts[:3]) | st.sampled_from(texts)


any_line = st.tuples(
    mostly(TIERS),
    mostly(NAMES + ODD_NAMES),
    mostly(NAMES + ODD_NAMES),
    mostly(NAMES + ODD_NAMES),
    mostly(MPIDS) | st.just(""),
    mostly(NUMBERS),
    mostly(NUMBERS),
    mostly(DATES + ODD_DATES),
).map("|".join)
plain_number = st.integers(1, 10**9).map(str)
plain_line = st.builds(
    lambda symbol, issue, name, mpid, shares, trades: line(
        symbol=symbol, issue=issue, name=name, mpid=mpid, shares=shares, trades=trades
    ),
    *[st.sampled_from(NAMES)] * 3,
    st.sampled_from(MPIDS[:3]),
    plain_number | st.decimals(0, 10**6, places=6).map(str),
    plain_number,
)
any_rules = st.builds(
    LineRules,
    st.just("part"),
    st.just(Tier.OTC),
    st.booleans(),
    st.just(IN_ORDER) | st.permutations(IN_ORDER).map(tuple),
)
separators = st.lists(st.sampled_from([("|", "\n"), ("\n", "|"), ("|", ""), ("\n", "\n\n"), ("|", "||")]), max_size=2)


@given(st.lists(any_line | plain_line, min_size=1, max_size=4), any_rules, separators, st.data())
def test_what_is_read_at_once_is_what_is_read_line_by_line(
    lines: list[str], rules: LineRules, edits: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Whatever the columns hold and wherever a separator is lost, doubled or another one."""
    block = "\n".join(lines)
    for old, new in edits:
        pieces = block.split(old)
        at = data.draw(st.integers(0, len(pieces) - 1))
        block = old.join(pieces[: at + 1]) + (new + old.join(pieces[at + 1 :]) if at + 1 < len(pieces) else "")
    at_once = read_block(block, rules)
    by_line, rejects = read_lines(block, 2, rules)
    assert len(by_line.securities) + len(rejects) == block.count("\n") + 1
    if at_once is not None:
        assert rejects == []
        assert at_once == by_line


@given(st.lists(plain_line, min_size=1, max_size=6))
def test_usual_lines_are_read_at_once(lines: list[str]) -> None:
    assert read_block("\n".join(lines), ATS) == read_lines("\n".join(lines), 2, ATS)[0]


NO_NUMBERS = ("+1", "1_000", "1,000", " 1", "1 ", "1e5", "NaN", "", "1.", ".5", "\u0661\u0662", "\uff11", "\u00b2")
NO_DATES = ("", "20251215", "2025-W51-1", "2025-02-29", "2025-12-15 ", "2025-12-15\r", "\uff12025-12-15", "0000-01-01")
MISFITS = {
    "BAD_SHARES": [line(shares=text) for text in (*NO_NUMBERS, "1.2.3", "1.1234567")],
    "NEGATIVE_SHARES": [line(shares=text) for text in ("-5", "-0.5")],
    "BAD_TRADES": [line(trades=text) for text in (*NO_NUMBERS, "1.0")],
    "NEGATIVE_TRADES": [line(trades="-1")],
    "TOO_LARGE": [line(shares="9223372036854.775808"), line(shares="1" + "0" * 13), line(trades="1" + "0" * 12)],
    "BAD_DATE": [line(updated=text) for text in NO_DATES],
    "WRONG_TIER": [line(tier=text) for text in ("NMS Tier 1", "", "NA")],
    "EMPTY_MPID": [line(mpid="")],
    "TOO_LONG": [line(mpid="M" * 11), line(symbol="S" * 41), line(issue="i" * 401), line(name="n" * 401)],
    "FIELD_COUNT": [line(issue="a|b"), line().rpartition("|")[0], "", "Records: 2"],
}
REJECTED = [(text, reason) for reason, texts in MISFITS.items() for text in texts]


@pytest.mark.promise(11)
@pytest.mark.parametrize(("text", "reason"), REJECTED)
def test_a_line_that_makes_no_row_is_rejected_with_its_number_reason_and_text(text: str, reason: str) -> None:
    block = "\n".join([line(), text, line(symbol="ZZZZ")])
    assert read_block(block, ATS) is None
    columns, rejects = read_lines(block, 41, ATS)
    assert rejects == [RejectedLine("ats.psv", 42, RejectReason(reason), text)]
    assert columns.securities == ["AABB|Asia Broadband Inc", "ZZZZ|Asia Broadband Inc"]
    assert columns.micros == ["6753871000000"] * 2


def test_a_nul_byte_is_rejected_and_shown_as_text_that_a_database_takes() -> None:
    assert read_block(line(issue="a\0b"), ATS) is None
    _, (reject,) = read(line(issue="a\0b"))
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
    assert read_block(f"{line(FIRM)}\n{text}", NON_ATS) is None
    assert read(text, NON_ATS)[1] == [RejectedLine("nonats.psv", 2, reason, text)]


def test_of_several_reasons_the_first_is_given() -> None:
    worst = line(tier="", mpid="", symbol="S" * 41, shares="x", trades="x", updated="x")
    mended = [
        worst,
        line(mpid="", symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(symbol="S" * 41, shares="x", trades="x", updated="x"),
        line(shares="x", trades="x", updated="x"),
        line(trades="x", updated="x"),
        line(updated="x"),
    ]
    reasons = [reject.reason for reject in read_lines("\n".join(mended), 2, ATS)[1]]
    assert reasons == ["WRONG_TIER", "EMPTY_MPID", "TOO_LONG", "BAD_SHARES", "BAD_TRADES", "BAD_DATE"]


SHORT, LONG = "OTC|A|I|N|M|1|1", "2025-12-15|OTC|B|I|N|M|1|1|2025-12-15"


def test_a_short_line_and_a_long_one_do_not_make_two_rows() -> None:
    """A line end and a pipe changed places: together the two lines have the fields of two rows, all as they should be."""
    assert read_block(f"{SHORT}\n{LONG}", ATS) is None
    columns, rejects = read_lines(f"{SHORT}\n{LONG}", 2, ATS)
    assert columns.securities == []
    assert [(reject.line, reject.reason) for reject in rejects] == [(2, "FIELD_COUNT"), (3, "FIELD_COUNT")]


@pytest.mark.parametrize("order", [*permutations(range(8), 8)][::2017])
def test_no_order_of_columns_lets_fields_shift(order: tuple[int, ...]) -> None:
    rules = LineRules("ats.psv", Tier.OTC, is_ats=True, order=order)
    ordered = ["|".join(text for _, text in sorted(zip(order, GOOD, strict=True)))] * 3
    block = "\n".join(ordered)
    at_once = read_block(block, rules)
    assert at_once is not None
    assert at_once.securities == ["AABB|Asia Broadband Inc"] * 3
    pipes = [at for at, character in enumerate(block) if character == "|"]
    ends = [at for at, character in enumerate(block) if character == "\n"]
    for pipe in pipes:
        for end in ends:
            swapped = list(block)
            swapped[pipe], swapped[end] = "\n", "|"
            assert read_block("".join(swapped), rules) is None


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1.5", "1500000"),
        ("1.50", "1500000"),
        ("001.5000000000", "1500000"),
        ("0", "0"),
        ("0.000001", "1"),
        ("0000", "0"),
        ("0.1000000", "100000"),
        ("999999999999.999999", "999999999999999999"),
        ("0" * 30 + "1", "1000000"),
    ],
)
def test_a_share_quantity_is_read_exactly(text: str, micros: str) -> None:
    assert read(line(shares=text))[0].micros == [micros]


@pytest.mark.parametrize(("text", "count"), [("0", "0"), ("007", "7"), ("999999999999", "999999999999")])
def test_a_trade_count_is_read_without_leading_zeros(text: str, count: str) -> None:
    assert read(line(trades=text))[0].trades == [count]


@pytest.mark.timeout(10)
def test_a_long_field_of_zeros_is_read_in_linear_time() -> None:
    zeros = "0" * 1_000_000
    assert [reject.reason for reject in read(line(shares=f"{zeros}x"))[1]] == ["BAD_SHARES"]
    assert [reject.reason for reject in read(line(trades=f"{zeros}x"))[1]] == ["BAD_TRADES"]
    assert read(line(shares=f"{zeros}1.5{zeros}"))[0].micros == ["1500000"]


@pytest.mark.parametrize("name", [*NAMES[3:], " padded ", "S" * 40])
def test_names_are_kept_as_they_are(name: str) -> None:
    columns = read_block(line(symbol=name, issue=name, name=name), ATS)
    assert columns is not None
    assert (columns.securities, columns.venue_names) == ([f"{name}|{name}"], {"OTCN": name})
    firms = read_block(line(FIRM, name=name or "Firm"), NON_ATS)
    assert firms is not None
    assert (firms.venues, firms.venue_names) == ([f"||{name or 'Firm'}"], {})


@pytest.mark.parametrize("tier", ["OTC", "otc", "OTCE", " OTC "])
def test_a_tier_may_be_spelled_as_finra_spells_it_elsewhere(tier: str) -> None:
    assert read(line(tier=tier))[1] == []


def test_the_last_name_that_a_block_gives_a_venue_is_the_one_told() -> None:
    block = "\n".join([line(name="UBSA UBS ATS"), line(symbol="B", name="UBS ATS")])
    assert read_block(block, ATS) == read_lines(block, 2, ATS)[0]
    assert read(block)[0].venue_names == {"OTCN": "UBS ATS"}


def test_a_line_without_an_end_is_kept_by_how_it_begins() -> None:
    _, (reject,) = read_lines("x" * 20_000_000, 2, ATS)
    assert (len(reject.text), reject.text[-4:], reject.reason) == (1000, "x...", "FIELD_COUNT")


def test_a_header_without_an_end_is_told_by_how_it_begins() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        column_order("ats.psv", "x" * 20_000_000)
    assert len(str(refused.value)) < 600
