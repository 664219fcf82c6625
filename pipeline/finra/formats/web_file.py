"""FINRA's web file: eight pipe-separated columns without quoting (finra.md, "Web file"). ATS venues and firms have one each.

Lines are split by their newlines and pipes alone, for a quote is a character like any other: a CSV reader would swallow the
rows behind an unescaped one. Case is never folded.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import polars as pl

from pipeline.finra import signatures
from pipeline.finra.calendar import CalendarError, PartitionKey, Tier
from pipeline.finra.content import Content, PartRead, UnreadablePayload, content_of
from pipeline.finra.formats.rules import (
    IS_ROW,
    REASON,
    Rule,
    first_reason,
    refuse_too_many,
    rejects_of,
    row_rules,
    rows_of,
    without_repeated,
)
from pipeline.finra.payloads import Part, PartName, PayloadFormat, unpack
from pipeline.finra.plain_text import shortened
from pipeline.finra.rejects import RejectReason
from pipeline.finra.rows import ATS, NON_ATS, NOTIONAL
from pipeline.finra.sources.base import MOST_ROWS, too_many_rows

FIELDS = {
    "tierDescription": "named_tier",
    "issueSymbolIdentifier": "symbol",
    "issueName": "issue_name",
    "marketParticipantName": "venue_name",
    "MPID": "mpid",
    "totalWeeklyShareQuantity": "shares",
    "totalWeeklyTradeCount": "trades",
    "lastUpdateDate": "last_update_date",
}
COLUMNS = tuple(FIELDS)
REST = "rest"  # of a line with more fields than there are columns
SHOWN_OF_A_NAME = 200
MOST_MISPLACED = 200_000  # more rows than the largest ATS file has


@dataclass(frozen=True, slots=True)
class _PartLines:
    """A part's lines, each with its fields as text and its reason; `is_cut` when the last one breaks off and is no row."""

    read: PartRead
    lines: pl.DataFrame
    is_cut: bool


def read(
    content: bytes,
    payload_format: PayloadFormat,
    key: PartitionKey,
    max_reject_share: float,
    max_rows: int = MOST_ROWS,
) -> Content:
    """Read a payload of one file or two.

    Raises UnreadablePayload for what is not FINRA's format, has more than `max_rows` lines below its headers (no line is
    looked at then), or has more than `max_reject_share` (0-1) of them rejected. A header without rows is read, and a body
    that breaks off in a line; what they mean is decided in `pipeline.capture.plausibility`.
    """
    return read_parts(unpack(content, payload_format), key, max_reject_share, max_rows)


def read_parts(
    parts: tuple[Part, ...], key: PartitionKey, max_reject_share: float, max_rows: int = MOST_ROWS
) -> Content:
    """As `read`, of a payload whose files are at hand."""
    if sum(map(_lines_below_header, parts)) > max_rows:
        raise UnreadablePayload(f"the payload has {too_many_rows(max_rows)}")
    with ThreadPoolExecutor(len(PartName)) as executor:
        read_parts = list(executor.map(partial(_read_part, tier=key.tier), parts))
    lines = without_repeated(pl.concat([part.lines for part in read_parts]))
    rejected = lines.filter(~IS_ROW)
    misplaced = rejected.filter(pl.col(REASON) == RejectReason.UNEXPECTED_MPID.value).height
    _refuse(rejected, lines.height, read_parts, misplaced, max_reject_share)
    return content_of(
        rows_of(lines, key, pl.lit(None, NOTIONAL)),
        rejects_of(rejected),
        parts=tuple(part.read for part in read_parts),
        misplaced=misplaced,
    )


def _refuse(
    rejected: pl.DataFrame, lines: int, parts: list[_PartLines], misplaced: int, max_reject_share: float
) -> None:
    """Refuse what has too many rejects.

    Rows of a non-ATS file that name an MPID do not count beside ATS rows: the good half is kept, and the other one told.
    """
    elsewhere = misplaced if len(parts) > 1 and misplaced <= MOST_MISPLACED else 0
    refuse_too_many(
        rejected, lines, max_reject_share, uncounted=sum(part.is_cut for part in parts), elsewhere=elsewhere
    )


def _lines_below_header(part: Part) -> int:
    """How many, without a look at any; the last one may lack its newline."""
    return max(part.newlines - part.content.endswith(b"\n"), 0)


def _read_part(part: Part, tier: Tier) -> _PartLines:
    text = _text_of(part)
    lines = _lines_of(text)
    order = _column_order(part.name, lines["text"][0])
    fields = _fields(lines[1:], order).with_columns(
        pl.lit(part.name.value).alias("part"),
        pl.lit(ATS if part.name is PartName.ATS else NON_ATS).alias("venue_kind"),
        pl.lit("").alias("crd"),
        pl.lit("").alias("product_type"),
    )
    rules = _rules(part, fields, order[-1], tier)
    read_lines = fields.with_columns(first_reason(rules))
    ends_in_a_row = read_lines.is_empty() or read_lines[REASON][-1] is None
    breaks_off = not read_lines.is_empty() and not part.content.endswith(b"\n")
    return _PartLines(
        PartRead(part.name, fields.height, breaks_off and not (ends_in_a_row and order[-1] == "last_update_date")),
        read_lines,
        is_cut=breaks_off and not ends_in_a_row,
    )


def _text_of(part: Part) -> pl.Series:
    """The part's text as one value, without BOM and with LF line ends."""
    content = part.content.removeprefix(BOM_UTF8)
    if kind := signatures.file_kind(content):
        raise UnreadablePayload(f"this is {kind}", part.name)
    text = _text(part, content)
    start = content[:256].decode(errors="ignore")[:64].lstrip()
    if not start and not text.item().strip():
        raise UnreadablePayload("the body is empty", part.name)
    if start.startswith("<"):
        raise UnreadablePayload(f"this is an HTML or XML page, not a pipe-separated file: {start[:40]!r}", part.name)
    if start.startswith(("{", "[")):
        raise UnreadablePayload(f"this is JSON, not a pipe-separated file: {start[:40]!r}", part.name)
    return text.str.replace_all("\r\n", "\n", literal=True) if b"\r" in content else text


def _text(part: Part, content: bytes) -> pl.Series:
    """The part's content without BOM as one text. It is copied once, and never into Python's."""
    try:
        return pl.Series("text", [content], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:  # Python says where
        try:
            return pl.Series("text", [content.decode()])
        except UnicodeDecodeError as error:
            line, byte = content.count(b"\n", 0, error.start) + 1, len(part.content) - len(content) + error.start
            raise UnreadablePayload(f"not UTF-8 text (line {line}, byte {byte:,})", part.name) from error


def _lines_of(text: pl.Series) -> pl.DataFrame:
    """The lines with their numbers (the header is line 1). A blank line is a line too. The last newline begins none."""
    lines = text.to_frame().select(pl.col("text").str.split("\n").explode()).with_row_index("line", offset=1)
    return lines if lines["text"][-1] else lines[:-1]


def _column_order(part: PartName, header: str) -> list[str]:
    """The columns of FIELDS in the order in which the header has them."""
    names = header.rstrip("\r").split("|")
    problems = {
        "missing": [name for name in COLUMNS if name not in names],
        "unknown": [name for name in names if name not in COLUMNS],
        "more than once": [name for name in COLUMNS if names.count(name) > 1],
    }
    found = [
        f"{what}: {', '.join(repr(shortened(name, SHOWN_OF_A_NAME)) for name in which[:8])}"
        for what, which in problems.items()
        if which
    ]
    if found:
        raise UnreadablePayload(f"the header's columns are not FINRA's ({'; '.join(found)})", part)
    return [FIELDS[name] for name in names]


def _fields(lines: pl.DataFrame, order: list[str]) -> pl.DataFrame:
    """The fields of lines, null where a line has too few."""
    fields = pl.col("text").str.split_exact("|", len(COLUMNS)).struct.rename_fields([*order, REST]).struct.unnest()
    return lines.with_columns(fields).select("line", "text", *FIELDS.values(), REST)


def _spellings(named: pl.Series, tier: Tier) -> list[str]:
    """Those of the names that name `tier`, in any of FINRA's spellings."""
    return [name for name in named.unique() if name is not None and _is_tier(name, tier)]


def _is_tier(name: str, tier: Tier) -> bool:
    try:
        return Tier.parse(name) is tier
    except CalendarError:
        return False


def _rules(part: Part, lines: pl.DataFrame, last: str, tier: Tier) -> list[Rule]:
    """In the order in which they are asked, but those that hold for no line. `last` is the last column of the file."""
    has_nul = pl.col("text").str.contains("\0", literal=True)
    return [
        *([(RejectReason.BAD_CHARACTER, has_nul)] if b"\0" in part.content else []),
        (RejectReason.FIELD_COUNT, pl.col(last).is_null() | pl.col(REST).is_not_null()),
        (RejectReason.WRONG_TIER, ~pl.col("named_tier").is_in(_spellings(lines["named_tier"], tier))),
        *row_rules(lines, is_ats=part.name is PartName.ATS),
    ]
