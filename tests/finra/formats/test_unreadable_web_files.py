"""Payloads that are no web file of FINRA's, and those of which too much is none: refused whole, with what they are."""

from __future__ import annotations

import gzip
import json

import pytest

from pipeline.finra.calendar import Tier
from pipeline.finra.content import PartRead, UnreadablePayload
from pipeline.finra.formats.web_file import COLUMNS
from pipeline.finra.payloads import PartName
from tests.finra.web_files import places, read, read_parts
from tests.support.sources_in_memory import HEADER, psv, row

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
        (
            psv(GOOD).decode().encode("utf-16"),
            "this is UTF-16 text: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)",
        ),
        (b"PK\x03\x04", "this is a ZIP archive: unpack it, and take the file that is in it"),
        (
            gzip.compress(psv(GOOD)),
            "this is data compressed with gzip: it was compressed twice, or its name does not say how it is compressed: "
            "decompress it once",
        ),
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


def test_a_header_without_an_end_is_told_by_how_it_begins() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        read(b"x" * 20_000_000)
    assert len(str(refused.value)) < 600


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


def test_duplicates_count_among_the_rejects() -> None:
    assert read(psv(GOOD, GOOD), max_reject_share=0.5).rows_kept == 1
    with pytest.raises(UnreadablePayload, match=r"^1 of 2 rows were rejected, more than 40% allows: line 3 DUPLICATE"):
        read(psv(GOOD, GOOD), max_reject_share=0.4)


def test_ats_rows_in_the_firms_file_do_not_count() -> None:
    """The good half is kept, and the other one told."""
    ats = psv(*(row(f"S{n}", "UBSA", 1) for n in range(4)))
    content = read_parts(ats, ats, max_reject_share=0)
    assert (content.rows_in, content.rows_kept, content.misplaced) == (8, 4, 4)
    with pytest.raises(UnreadablePayload, match=r"^1 of 9 rows were rejected, more than 15% allows: "):
        read_parts(ats + b"x\n", ats, max_reject_share=0.15)


@pytest.mark.parametrize(
    ("end", "breaks_off", "rejects"),
    [
        ("\n", False, []),
        ("", False, []),
        ("\r\n", False, []),
        ("\nOTC|B|B I", True, [("ats.psv", 3, "FIELD_COUNT")]),
        ("\nx\n", False, [("ats.psv", 3, "FIELD_COUNT")]),
    ],
)
def test_a_cut_last_line_is_told_and_no_other_format(
    end: str, breaks_off: bool, rejects: list[tuple[str, int, str]]
) -> None:
    """A line that breaks off is no sign of another format: it is a reject, and does not count among them."""
    content = read(f"{HEADER}\n{GOOD}{end}".encode(), max_reject_share=0 if breaks_off else 1)
    assert places(content) == rejects
    assert content.parts == (PartRead(PartName.ATS, 1 + len(rejects), breaks_off),)


def test_a_last_line_without_its_date_may_be_cut() -> None:
    """Of a date nothing can be missing; of a number there may be."""
    turned = "\n".join("|".join(reversed(line.split("|"))) for line in (HEADER, GOOD))
    assert read(turned.encode()).parts == (PartRead(PartName.ATS, 1, breaks_off=True),)
    assert read(f"{turned}\n".encode()).parts == (PartRead(PartName.ATS, 1),)
