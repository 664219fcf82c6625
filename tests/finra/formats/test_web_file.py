"""A web file to rows, rejects and a content hash: every line accounted for, every figure exact."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.finra import rows
from pipeline.finra.calendar import Tier
from pipeline.finra.content import PartRead
from pipeline.finra.payloads import PartName
from pipeline.finra.rejects import RejectedLine, RejectReason
from tests.finra.web_files import places, read, read_firms, read_parts, texts
from tests.support.sources_in_memory import HEADER, psv, row

DUPLICATE = RejectReason.DUPLICATE_KEY
few = settings(max_examples=30)


def test_a_file_is_read_into_typed_columns() -> None:
    content = read(
        psv(row("BRK.B", "UBSA", 7, updated="2025-12-22"), row("AABB", "OTCN", "1.50", 2, issue="Asia, Inc"))
    )
    assert content.frame.schema == rows.SCHEMA
    week, day, later = date(2025, 11, 14), date(2025, 12, 15), date(2025, 12, 22)
    shares = Decimal("1.500000"), Decimal("7.000000")
    assert content.frame.rows() == [
        (week, "OTC", "ATS", "AABB", "Asia, Inc", "OTCN", "", "OTCN NAME", "", shares[0], 2, None, day),
        (week, "OTC", "ATS", "BRK.B", "BRK.B Inc", "UBSA", "", "UBSA NAME", "", shares[1], 1, None, later),
    ]
    assert texts(content) == [
        "AABB|Asia, Inc|OTCN||||1500000|2||2025-12-15",
        "BRK.B|BRK.B Inc|UBSA||||7000000|1||2025-12-22",
    ]
    assert (content.rows_in, content.rows_kept, content.rows_non_ats, content.rejects) == (2, 2, 0, [])
    assert (content.shares, content.shares_non_ats, content.trades) == (Decimal("8.5"), Decimal(0), 3)
    assert content.updates == {"2025-12-15": 1, "2025-12-22": 1}
    assert content.newest_update == later


def test_a_row_without_symbol_and_issue_name_counts_like_any_other() -> None:
    content = read(psv("OTC|||PPEX NORTH CAPITAL|PPEX|1|1|2025-12-29"))
    assert texts(content) == ["||PPEX||||1000000|1||2025-12-29"]


def test_both_parts_of_a_payload_make_its_rows() -> None:
    ats, firm = row("A", "UBSA", 1), row("A", "", 2, name="De Minimis Firms")
    content = read_parts(psv(ats), psv(firm, firm))
    assert texts(content) == [
        "A|A Inc|UBSA||||1000000|1||2025-12-15",
        "A|A Inc|||De Minimis Firms||2000000|1||2025-12-15",
    ]
    assert content.frame["venue_kind"].to_list() == ["ATS", "NON_ATS"]
    assert (content.rows_in, content.rows_kept, content.rows_non_ats) == (3, 2, 1)
    assert (content.shares, content.shares_non_ats) == (Decimal(3), Decimal(2))
    assert content.rejects == [RejectedLine("nonats.psv", 3, DUPLICATE, firm)]
    assert content.parts == (PartRead(PartName.ATS, 1), PartRead(PartName.NON_ATS, 2))


@pytest.mark.parametrize("order", [*permutations(range(8), 8)][::4033])
def test_columns_may_stand_in_any_order(order: tuple[int, ...]) -> None:
    lines = [HEADER, row("A", "UBSA", "1.5", 2), row("B", "UBSA", 3)]
    turned = ["|".join(line.split("|")[at] for at in order) for line in lines]
    content = read("\n".join(turned).encode())
    assert content.frame.equals(read("\n".join(lines).encode()).frame)
    assert content.rejects == []


def test_a_header_without_rows_is_read() -> None:
    for file in (HEADER.encode(), psv(), f"{HEADER}\r\n".encode(), f"{HEADER}\r".encode()):
        content = read(file, max_reject_share=0)
        assert (content.rows_in, content.rows_kept, content.rejects) == (0, 0, [])
        assert content.frame.equals(rows.empty())
        assert (content.shares, content.trades, content.newest_update) == (Decimal(0), 0, None)
        assert content.parts == (PartRead(PartName.ATS, 0),)
        assert content.content_hash == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.promise(11)
def test_the_first_line_of_a_key_is_kept() -> None:
    lines = [row("A", "UBSA", 9), row("B", "UBSA", 2), row("A", "UBSA", 3, name="other name"), row("A", "UBSA", 4)]
    content = read(psv(*lines))
    assert content.frame["shares"].to_list() == [9, 2]
    assert content.rejects == [
        RejectedLine("ats.psv", 4, DUPLICATE, lines[2]),
        RejectedLine("ats.psv", 5, DUPLICATE, lines[3]),
    ]


@pytest.mark.promise(11)
def test_a_line_that_is_rejected_makes_no_later_one_a_duplicate() -> None:
    content = read(psv(row("A", "UBSA", "x"), row("A", "UBSA", 1)))
    assert places(content) == [("ats.psv", 2, "BAD_SHARES")]
    assert content.rows_kept == 1


def test_another_case_issue_name_or_venue_is_another_key() -> None:
    keys = [("ABRpD", "x", "UBSA"), ("ABRPD", "x", "UBSA"), ("ABRpD", "y", "UBSA"), ("ABRpD", "x", "SGMT")]
    assert read(psv(*(row(symbol, mpid, 1, issue=issue) for symbol, issue, mpid in keys))).rejects == []


def test_duplicates_are_numbered_right_beside_other_rejects_and_in_either_part() -> None:
    a, b, f, g = row("A", "UBSA", 1), row("B", "UBSA", 1), row("A", "", 1, name="F"), row("A", "", 1, name="G")
    content = read_parts(psv("short", a, "", a, b), psv(f, "short", g, g, f))
    assert places(content) == [
        ("ats.psv", 2, "FIELD_COUNT"),
        ("ats.psv", 4, "FIELD_COUNT"),
        ("ats.psv", 5, "DUPLICATE_KEY"),
        ("nonats.psv", 3, "FIELD_COUNT"),
        ("nonats.psv", 5, "DUPLICATE_KEY"),
        ("nonats.psv", 6, "DUPLICATE_KEY"),
    ]
    assert texts(content) == [
        "A|A Inc|UBSA||||1000000|1||2025-12-15",
        "A|A Inc|||F||1000000|1||2025-12-15",
        "A|A Inc|||G||1000000|1||2025-12-15",
        "B|B Inc|UBSA||||1000000|1||2025-12-15",
    ]


def test_duplicates_are_found_beside_a_part_without_rows() -> None:
    firm = row("A", "", 1, name="F")
    assert places(read_firms(firm, firm)) == [("nonats.psv", 3, "DUPLICATE_KEY")]


@pytest.mark.promise(11)
def test_each_line_of_a_long_file_is_numbered() -> None:
    lines = [row(f"S{n}", "UBSA", n) for n in range(3000)]
    spoilt = [*lines, lines[7], "short", lines[2999]]
    spoilt[1500:1500] = ["short", lines[0]]
    content = read(psv(*spoilt))
    assert places(content) == [
        ("ats.psv", 1502, "FIELD_COUNT"),
        ("ats.psv", 1503, "DUPLICATE_KEY"),
        ("ats.psv", 3004, "DUPLICATE_KEY"),
        ("ats.psv", 3005, "FIELD_COUNT"),
        ("ats.psv", 3006, "DUPLICATE_KEY"),
    ]
    assert [reject.text for reject in content.rejects[1:3]] == [lines[0], lines[7]]
    assert (content.rows_in, content.rows_kept, content.shares) == (3005, 3000, Decimal(sum(range(3000))))


@pytest.mark.promise(11)
def test_a_blank_line_is_a_line_the_last_one_too() -> None:
    first = row("A", "UBSA", 1)
    content = read(psv("", first, first, "x" * 5000, ""))
    assert [(reject.line, reject.text) for reject in content.rejects] == [
        (2, ""),
        (4, first),
        (5, "x" * 997 + "..."),
        (6, ""),
    ]
    assert (content.rows_in, content.rows_kept) == (5, 1)


@pytest.mark.promise(11)
@few
@given(st.lists(st.sampled_from([row("A", "UBSA", 1), row("B", "UBSA", "2.5", 3), "", "short"]), max_size=20))
def test_rows_in_are_rows_kept_and_rejects(lines: list[str]) -> None:
    content = read(psv(*lines))
    assert content.rows_in == len(lines) == content.rows_kept + len(content.rejects)
    assert content.rows_kept == len({line for line in lines if "|" in line})
    assert [reject.text for reject in content.rejects] == [lines[reject.line - 2] for reject in content.rejects]


def test_sums_of_the_largest_quantities_are_exact() -> None:
    content = read(psv(*(row(f"S{n}", "UBSA", "999999999999.999999", 10**12 - 1) for n in range(20_000))))
    assert content.shares == Decimal("19999999999999999.98")
    assert content.trades == 19_999_999_999_980_000


quantities = st.decimals(0, Decimal("999999999999.999999"), places=6, allow_nan=False)


@few
@given(st.lists(quantities, min_size=1, max_size=30))
def test_sums_are_exact(shares: list[Decimal]) -> None:
    content = read(psv(*(row(f"S{n}", "UBSA", f"{quantity:f}", 10**11) for n, quantity in enumerate(shares))))
    assert content.shares == sum(shares)
    assert content.trades == len(shares) * 10**11


@pytest.mark.parametrize("tier", list(Tier))
def test_every_tier_reads_its_own_file(tier: Tier) -> None:
    content = read(psv(row("A", "UBSA", 1, tier=tier)), tier)
    assert content.frame["tier"].to_list() == [tier.value]


def test_real_files_are_read_to_the_last_line_and_share(shared_data: Path) -> None:
    files = sorted(shared_data.glob("otc_week_*.psv"))
    assert files
    for path in files:
        lines = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        content = read(path.read_bytes(), max_reject_share=0)
        assert content.rows_kept == len(lines)
        assert content.shares == sum(Decimal(fields[5]) for fields in lines)
        assert content.trades == sum(int(fields[6]) for fields in lines)
