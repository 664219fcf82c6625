"""A payload to rows, rejects and a content hash: every line accounted for, every figure exact."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calendar import Tier
from pipeline.lines import RejectedLine, RejectReason
from pipeline.parsed import Parsed, PartRead
from pipeline.parsing import BLOCK_CHARACTERS, COLUMNS, UnreadablePayload, parse
from pipeline.sources.base import Part, PartName, PayloadFormat, pack
from tests.sources_in_memory import HEADER, psv, row

DUPLICATE = RejectReason.DUPLICATE_KEY


def read(content: bytes, tier: Tier = Tier.OTC, max_reject_share: float = 1.0) -> Parsed:
    return parse(content, PayloadFormat.PSV, tier, max_reject_share)


def read_parts(ats: bytes, non_ats: bytes) -> Parsed:
    return parse(*pack((Part(PartName.ATS, ats), Part(PartName.NON_ATS, non_ats))), Tier.OTC, 1.0)


def places(parsed: Parsed) -> list[tuple[str, int, str]]:
    """Where the rejects stand, and why they are some."""
    return [(reject.part, reject.line, reject.reason) for reject in parsed.rejects]


def test_a_file_is_read_into_columns_of_canonical_text() -> None:
    parsed = read(psv(row("AABB", "OTCN", "1.50", 2, issue="Asia, Inc"), row("BRK.B", "UBSA", 7, updated="2025-12-22")))
    assert parsed.rows.canonical() == [
        "AABB|Asia, Inc|OTCN||||1500000|2||2025-12-15",
        "BRK.B|BRK.B Inc|UBSA||||7000000|1||2025-12-22",
    ]
    assert (parsed.rows_in, parsed.rows_kept, parsed.rejects) == (2, 2, [])
    assert (parsed.shares, parsed.trades) == (Decimal("8.5"), 3)
    assert parsed.venue_names == {"OTCN": "OTCN NAME", "UBSA": "UBSA NAME"}
    assert str(parsed.newest_update) == "2025-12-22"
    assert parsed.canonical.decode() == "\n".join(parsed.rows.canonical()) + "\n"


def test_a_row_without_symbol_and_issue_name_counts_like_any_other() -> None:
    parsed = read(psv("OTC|||PPEX NORTH CAPITAL|PPEX|1|1|2025-12-29"))
    assert parsed.rows.canonical() == ["||PPEX||||1000000|1||2025-12-29"]


def test_both_parts_of_a_payload_make_its_rows() -> None:
    ats, firms = row("A", "UBSA", 1), row("A", "", 2, name="De Minimis Firms")
    parsed = read_parts(psv(ats), psv(firms, firms))
    assert parsed.rows.venues == ["UBSA||", "||De Minimis Firms"]
    assert (parsed.rows_in, parsed.rows_kept, parsed.shares) == (3, 2, Decimal(3))
    assert parsed.rejects == [RejectedLine("nonats.psv", 3, DUPLICATE, firms)]


def test_columns_may_stand_in_another_order() -> None:
    lines = [HEADER, row("A", "UBSA", "1.5", 2), row("B", "UBSA", 3)]
    turned = ["|".join(reversed(line.split("|"))) for line in lines]
    assert read("\n".join(turned).encode()).canonical == read("\n".join(lines).encode()).canonical


def test_a_header_without_rows_is_read() -> None:
    for content in (HEADER.encode(), psv()):
        parsed = read(content, max_reject_share=0)
        assert (parsed.rows_in, parsed.rows_kept, parsed.canonical) == (0, 0, b"")
        assert (parsed.shares, parsed.trades) == (Decimal(0), 0)
        assert parsed.newest_update is None
        assert parsed.parts == (PartRead(PartName.ATS, 0),)


@pytest.mark.promise(11)
def test_a_line_whose_key_an_earlier_one_has_is_rejected_and_the_earlier_one_kept() -> None:
    lines = [row("A", "UBSA", 1), row("B", "UBSA", 2), row("A", "UBSA", 3, name="other name"), row("A", "UBSA", 4)]
    parsed = read(psv(*lines))
    assert parsed.rows.micros == ["1000000", "2000000"]
    assert parsed.rejects == [
        RejectedLine("ats.psv", 4, DUPLICATE, lines[2]),
        RejectedLine("ats.psv", 5, DUPLICATE, lines[3]),
    ]


def test_another_case_issue_name_or_venue_is_another_key() -> None:
    keys = [("ABRpD", "x", "UBSA"), ("ABRPD", "x", "UBSA"), ("ABRpD", "y", "UBSA"), ("ABRpD", "x", "SGMT")]
    assert read(psv(*(row(symbol, mpid, 1, issue=issue) for symbol, issue, mpid in keys))).rejects == []


def test_duplicates_are_numbered_right_beside_other_rejects_and_in_either_part() -> None:
    a, b, f, g = row("A", "UBSA", 1), row("B", "UBSA", 1), row("A", "", 1, name="F"), row("A", "", 1, name="G")
    parsed = read_parts(psv("short", a, "", a, b), psv(f, "short", g, g, f))
    assert places(parsed) == [
        ("ats.psv", 2, "FIELD_COUNT"),
        ("ats.psv", 4, "FIELD_COUNT"),
        ("ats.psv", 5, "DUPLICATE_KEY"),
        ("nonats.psv", 3, "FIELD_COUNT"),
        ("nonats.psv", 5, "DUPLICATE_KEY"),
        ("nonats.psv", 6, "DUPLICATE_KEY"),
    ]
    assert parsed.rows.canonical() == [
        *("A|A Inc|UBSA||||1000000|1||2025-12-15", "B|B Inc|UBSA||||1000000|1||2025-12-15"),
        *("A|A Inc|||F||1000000|1||2025-12-15", "A|A Inc|||G||1000000|1||2025-12-15"),
    ]


def test_duplicates_are_found_beside_a_part_without_rows() -> None:
    firm = row("A", "", 1, name="F")
    assert places(read_parts(psv(), psv(firm, firm))) == [("nonats.psv", 3, "DUPLICATE_KEY")]


@pytest.mark.promise(11)
def test_lines_are_numbered_across_blocks() -> None:
    lines = [row(f"S{n}", "UBSA", n) for n in range(3000)]
    assert sum(map(len, lines)) > 4 * BLOCK_CHARACTERS
    spoilt = [*lines, lines[7], "short", lines[2999]]
    spoilt[1500:1500] = ["short", lines[0]]
    parsed = read(psv(*spoilt))
    assert places(parsed) == [
        ("ats.psv", 1502, "FIELD_COUNT"),
        ("ats.psv", 1503, "DUPLICATE_KEY"),
        ("ats.psv", 3004, "DUPLICATE_KEY"),
        ("ats.psv", 3005, "FIELD_COUNT"),
        ("ats.psv", 3006, "DUPLICATE_KEY"),
    ]
    assert [reject.text for reject in parsed.rejects[1:3]] == [lines[0], lines[7]]
    assert (parsed.rows_in, parsed.rows_kept, parsed.shares) == (3005, 3000, Decimal(sum(range(3000))))


@pytest.mark.promise(11)
@pytest.mark.parametrize("around", range(-3, 4))
def test_a_blank_last_line_is_a_line_wherever_a_block_ends(around: int) -> None:
    """The first block ends where the blank line begins, or some characters before or after."""
    first = row("A", "UBSA", 1)
    long = "x" * (BLOCK_CHARACTERS + around - 2 * len(first) - 2)
    parsed = read(psv(first, first, long, ""))
    assert [(reject.line, reject.text) for reject in parsed.rejects] == [(3, first), (4, long[:997] + "..."), (5, "")]
    assert (parsed.rows_in, parsed.rows_kept) == (4, 1)


@pytest.mark.promise(11)
@given(st.lists(st.sampled_from([row("A", "UBSA", 1), row("B", "UBSA", "2.5", 3), "", "short"]), max_size=20))
def test_rows_in_are_rows_kept_and_rejects(lines: list[str]) -> None:
    parsed = read(psv(*lines))
    assert parsed.rows_in == len(lines) == len(parsed.rows) + len(parsed.rejects)
    assert parsed.rows_kept == len(parsed.rows) == len({line for line in lines if "|" in line})
    assert [reject.text for reject in parsed.rejects] == [lines[reject.line - 2] for reject in parsed.rejects]


quantities = st.decimals(0, Decimal("999999999999.999999"), places=6, allow_nan=False)


@given(st.lists(quantities, min_size=1, max_size=30))
def test_sums_are_exact(shares: list[Decimal]) -> None:
    parsed = read(psv(*(row(f"S{n}", "UBSA", f"{quantity:f}", 10**11) for n, quantity in enumerate(shares))))
    assert parsed.shares == sum(shares)
    assert parsed.trades == len(shares) * 10**11


GOOD = row("A", "UBSA", 1)
SPOILT = [row(f"S{n}", "UBSA", 1) for n in range(8)] + ["x", "", row("Z", "", 1)]


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the body is empty"),
        (b" \r\n\t\n", "the body is empty"),
        (b"\xef\xbb\xbf\n", "the body is empty"),
        (
            b"\n<!DOCTYPE html>\n<html>",
            "this is an HTML or XML page, not a pipe-separated file: '<!DOCTYPE html>\\n<html>'",
        ),
        (b"\xef\xbb\xbf<?xml?>", "this is an HTML or XML page, not a pipe-separated file: '<?xml?>'"),
        (b'{"statusCode": 400}', "this is JSON, not a pipe-separated file: '{\"statusCode\": 400}'"),
        (json.dumps([{"a": 1}]).encode(), "this is JSON, not a pipe-separated file: '[{\"a\": 1}]'"),
        (psv(GOOD).replace(b"|MPID", b""), "the header's columns are not FINRA's (missing: 'MPID')"),
        (
            psv(GOOD).replace(b"MPID", b"mpid"),
            "the header's columns are not FINRA's (missing: 'MPID'; unknown: 'mpid')",
        ),
        (psv().replace(b"MPID", b"MPID|week"), "the header's columns are not FINRA's (unknown: 'week')"),
        (psv().replace(b"MPID", b"MPID|MPID"), "the header's columns are not FINRA's (more than once: 'MPID')"),
        (psv(row("A", "UBSA", 1, issue="\xe9")).decode().encode("latin-1"), "not UTF-8 text (line 2, byte 143)"),
        (b"\xef\xbb\xbf" + HEADER.encode() + b"\n\n\xff", "not UTF-8 text (line 3, byte 141)"),
    ],
)
def test_a_payload_that_is_not_finras_format_fails_whole(content: bytes, message: str) -> None:
    with pytest.raises(UnreadablePayload) as failure:
        read(content)
    assert str(failure.value) == f"the ATS file: {message}"


def test_a_comma_separated_file_fails_and_says_what_its_header_is() -> None:
    with pytest.raises(UnreadablePayload) as failure:
        read(psv(GOOD).replace(b"|", b","))
    missing = ", ".join(repr(name) for name in COLUMNS)
    unknown = repr(",".join(COLUMNS))
    assert (
        str(failure.value)
        == f"the ATS file: the header's columns are not FINRA's (missing: {missing}; unknown: {unknown})"
    )


def test_the_part_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UnreadablePayload, match=r"^the non-ATS file: the body is empty$"):
        read_parts(psv(GOOD), b"")


def test_more_rejects_than_are_allowed_fail_the_payload() -> None:
    assert len(read(psv(*SPOILT), max_reject_share=3 / 11).rejects) == 3
    with pytest.raises(UnreadablePayload) as failure:
        read(psv(*SPOILT), max_reject_share=0.125)
    first = "line 10 FIELD_COUNT; line 11 FIELD_COUNT; line 12 EMPTY_MPID"
    assert str(failure.value) == f"3 of 11 rows were rejected, more than 12.5% allows: {first}"
    with pytest.raises(
        UnreadablePayload, match=r"^1 of 1 rows were rejected, more than 99% allows: line 2 WRONG_TIER$"
    ):
        read(psv(row("A", "UBSA", 1, tier=Tier.NMS_TIER_1)), max_reject_share=0.99)


@pytest.mark.parametrize("tier", list(Tier))
def test_every_tier_reads_its_own_file(tier: Tier) -> None:
    assert read(psv(row("A", "UBSA", 1, tier=tier)), tier).rows_kept == 1


def test_real_files_are_read_to_the_last_line_and_share(shared_data: Path) -> None:
    files = sorted(shared_data.glob("otc_week_*.psv"))
    assert files
    for path in files:
        lines = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        parsed = read(path.read_bytes(), max_reject_share=0)
        assert parsed.rows_kept == len(lines)
        assert parsed.shares == sum(Decimal(fields[5]) for fields in lines)
        assert parsed.trades == sum(int(fields[6]) for fields in lines)


keys = st.tuples(
    st.sampled_from(["A", "B", "BRK.B", "ABRpD", "", '"']), st.sampled_from(["x", "y"]), st.sampled_from("MN")
)
figures = st.tuples(st.integers(0, 10**9), st.integers(0, 999999), st.sampled_from(["2025-12-15", "2025-12-22"]))
weeks = st.dictionaries(keys, figures, min_size=1, max_size=8)
Week = dict[tuple[str, str, str], tuple[int, int, str]]


def lines_of(week: Week, shape: random.Random | None = None) -> list[str]:
    """The lines of a week's rows; with `shape` in any order, numbers in any writing, venues under any name."""
    lines = []
    for (symbol, issue, mpid), (micros, trades, updated) in week.items():
        shares, count, name = f"{Decimal(micros).scaleb(-6):f}", str(trades), ""
        if shape is not None:
            shares = "0" * shape.randrange(3) + (
                shares.rstrip("0").rstrip(".") if shape.random() < 0.5 else shares + "0"
            )
            count, name = "0" * shape.randrange(3) + count, f"name {shape.random()}"
        lines.append(row(symbol, mpid, shares, count, issue=issue, name=name, updated=updated))
    if shape is not None:
        shape.shuffle(lines)
    return lines


@pytest.mark.promise(2)
@given(weeks, st.randoms(use_true_random=False), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_the_content_hash_is_that_of_the_rows_however_they_are_written(
    week: Week, shape: random.Random, end: str, last: bool, bom: bool
) -> None:
    written = end.join([HEADER, *lines_of(week, shape)]) + end * last
    rewritten = read(b"\xef\xbb\xbf" * bom + written.encode())
    plain = read(psv(*lines_of(week)))
    assert rewritten.rejects == []
    assert (rewritten.content_hash, rewritten.canonical) == (plain.content_hash, plain.canonical)


@given(weeks, weeks)
def test_weeks_that_differ_have_two_content_hashes(one: Week, other: Week) -> None:
    assert (hash_of(one) == hash_of(other)) == (one == other)


@given(weeks, st.data())
def test_any_figure_key_or_date_that_changes_changes_the_content_hash(week: Week, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(week)))
    (symbol, issue, mpid), (micros, trades, updated) = key, week[key]
    rest = {other: values for other, values in week.items() if other != key}
    changed: list[Week] = [
        rest,
        *(rest | {key: values} for values in ((micros + 1, trades, updated), (micros, trades + 1, updated))),
        rest | {key: (micros, trades, "2025-12-16")},
        *(
            rest | {new: week[key]}
            for new in ((symbol + "z", issue, mpid), (symbol, issue + "z", mpid), (symbol, issue, "P"))
        ),
        week | {("new", issue, mpid): week[key]},
    ]
    assert len({hash_of(week), *map(hash_of, changed)}) == 1 + len(changed)


def hash_of(week: Week) -> str:
    return read(psv(*lines_of(week))).content_hash
