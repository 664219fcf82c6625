"""Whatever bytes a file of FINRA's header has below it: its columns read at once give what its lines give one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.finra.calendar import Tier
from pipeline.finra.content import Content, UnreadablePayload
from tests.faults.extent import EVERYTHING
from tests.finra import plain_reading
from tests.finra.web_files import read, read_parts, texts
from tests.support.sources_in_memory import HEADER, psv

# What a column may hold; the first three of each are usual ones.
NUMBERS = [
    *("1", "171", "6753871"),
    *("0", "00", "007", "0.5", "00.5", "1.5", "1.50", "1.123456", "1.1234567", "1.1234560", "1.", ".5", ".", "1.2.3"),
    *(
        "+1",
        "-1",
        "-0",
        "-1.5",
        "-1.",
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
    ),
    *("1\r", "\u0661", "\uff11", "\u00b2", "1\u0660", "9" * 12, "9" * 13, "9" * 16, "9" * 12 + ".999999"),
    *("9" * 12 + ".9999990000", "0" * 30 + "1", "1" + "0" * 12, "0" * 30 + "9" * 12 + ".000001"),
]
NAMES = ["AABB", "ABRpD", "BRK.B", "", 'A "quoted" name', '"', "back\\slash", "\\N", "a\tb", "a\rb", "\u2028", "\x85"]
NAMES += ["\x1c", "N\0L", "s" * 40, "s" * 41, "n" * 400, "n" * 401, "\u00e9" * 40, "\u00e9" * 400, "\ufeff"]
MPIDS = ["OTCN", "UBSA", "SGMT", "", " ", "M" * 10, "M" * 11, "\0"]
TIERS = ["OTC", "OTC", "OTC", "otc", "OTCE", " OTC", "\u2003otc\x1c", "NMS Tier 1", "NMS_TIER_2", "", "\0"]
DATES = ["2025-12-15", "2025-12-15", "2025-12-22", "2025-02-29", "20251215", "2025-12-5", "2025-W50-1", "", "OTC"]
DATES += [
    "2025-12-15 ",
    "2025-12-15\r",
    "\uff12\uff10\uff12\uff15-12-15",
    "0000-01-01",
    "0001-01-01",
    "2025-12-15T00:00",
]


def mostly(texts: list[str]) -> st.SearchStrategy[str]:
    """One of the first three, more often than one of the others."""
    return st.sampled_from(texts[:3]) | st.sampled_from(texts[:3]) | st.sampled_from(texts)


figures = [mostly(NUMBERS), mostly(NUMBERS), mostly(DATES)]
ats_line = st.tuples(mostly(TIERS), *[mostly(NAMES)] * 3, mostly(MPIDS), *figures)
firm_line = st.tuples(mostly(TIERS), *[mostly(NAMES)] * 3, st.just("") | mostly(MPIDS[3:]), *figures)
orders = st.just(list(range(8))) | st.permutations(range(8))
separators = st.lists(st.sampled_from([("|", "\n"), ("\n", "|"), ("|", ""), ("\n", "\n\n"), ("|", "||")]), max_size=2)


@st.composite
def files(draw: st.DrawFn, lines: st.SearchStrategy[tuple[str, ...]]) -> bytes:
    """A file in which separators may be lost, doubled or others, in one of the ways in which a file may be written."""
    order = draw(orders)
    rows = ["|".join(fields[at] for at in order) for fields in draw(st.lists(lines, min_size=1, max_size=5))]
    body = "\n".join(rows)
    for old, new in draw(separators):
        pieces = body.split(old)
        at = draw(st.integers(1, len(pieces)))
        body = old.join(pieces[:at]) + (new + old.join(pieces[at:]) if at < len(pieces) else "")
    header = "|".join(HEADER.split("|")[at] for at in order)
    text = f"{header}\n{body}{draw(st.sampled_from(['', chr(10)]))}"
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.replace("\n", end).encode()


def check(content: Content, expected: plain_reading.Reading) -> None:
    assert texts(content) == expected.canonical
    assert content.content_hash == expected.content_hash
    shown = [(line, reason, text.replace("\0", "\\0")) for line, reason, text in expected.rejects]
    assert [(reject.line, reject.reason.value, shorter(reject.text)) for reject in content.rejects] == [
        (line, reason, shorter(text)) for line, reason, text in shown
    ]


def shorter(text: str) -> str:
    """Texts over 1,000 characters are kept by how they begin."""
    return text[:900]


few = settings(max_examples=60 if EVERYTHING else 20)


@few
@given(files(ats_line))
@example(HEADER.encode())
@example(psv())
@example(psv(""))
@example(psv("\ufeffOTC|A|I|N|M|1|1|2025-12-15"))
@example(psv("OTC|A|I|N|M|1|1", "2025-12-15|OTC|B|I|N|M|1|1|2025-12-15"))
def test_a_file_of_venues_is_read_as_it_is_line_by_line(content: bytes) -> None:
    check(read(content), plain_reading.read(content, Tier.OTC, is_ats=True))


@few
@given(files(firm_line))
def test_a_file_of_firms_is_read_as_it_is_line_by_line(content: bytes) -> None:
    check(read_parts(psv(), content), plain_reading.read(content, Tier.OTC, is_ats=False))


@few
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_below_the_header_are_lines_or_refused(below: bytes) -> None:
    content = HEADER.encode() + b"\n" + below
    try:
        below.decode()
    except UnicodeDecodeError:
        with pytest.raises(UnreadablePayload, match="not UTF-8 text"):
            read(content)
    else:
        check(read(content), plain_reading.read(content, Tier.OTC, is_ats=True))
