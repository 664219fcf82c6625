"""FINRA's web file: eight pipe-separated columns without quoting (finra.md, "Web file"). ATS venues and firms have one each.

A quote is a character like any other, for an unescaped one would swallow the rows behind it. Case is never folded.
"""

from __future__ import annotations

import io
import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import polars as pl
from polars.selectors import categorical

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
from pipeline.finra.rows import ATS, NON_ATS, NOTIONAL, VENUE
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
NUMBERS = ("shares", "trades")
FIRST_LINE = 2  # below the header
END_OF_FIELD = re.compile(rb"\r(?=[|\n]|\Z)")  # CR, of which polars drops one there
SHOWN_OF_A_NAME = 200
MOST_MISPLACED = 200_000  # more rows than the largest ATS file has


@dataclass(frozen=True, slots=True)
class _PartLines:
    """A part's lines, each with its fields and its reason; `is_cut` when the last one breaks off and is no row.

    `content` is the part's own, without BOM and with LF line ends.
    """

    read: PartRead
    content: bytes
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
    texts = pl.Categorical(pl.Categories.random())  # of this payload alone: they go with it
    with ThreadPoolExecutor(len(PartName)) as executor:
        read_parts = list(executor.map(partial(_read_part, tier=key.tier, texts=texts), parts))
    lines = without_repeated(pl.concat([part.lines for part in read_parts], rechunk=True))
    rejected = lines.filter(~IS_ROW)
    misplaced = rejected.filter(pl.col(REASON) == RejectReason.UNEXPECTED_MPID.value).height
    _refuse(rejected, lines.height, read_parts, misplaced, max_reject_share)
    return content_of(
        rows_of(lines, key, pl.lit(None, NOTIONAL)),
        rejects_of(_with_texts(rejected, read_parts)),
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


def _read_part(part: Part, tier: Tier, texts: pl.Categorical) -> _PartLines:
    content = _content_of(part)
    order = _column_order(part.name, _header_of(part, content))
    fields = _fields(part, content, order, texts)
    fields = fields.with_columns(
        _venues(fields, is_ats=part.name is PartName.ATS),
        pl.lit(part.name.value).alias("part"),
        pl.lit(ATS if part.name is PartName.ATS else NON_ATS).cast(texts).alias("venue_kind"),
        pl.lit("").alias("crd"),
        pl.lit("").alias("product_type"),
    )
    rules = _rules(part.name, content, fields, order[-1], tier)
    read_lines = fields.with_columns(first_reason(rules))
    ends_in_a_row = read_lines.is_empty() or read_lines[REASON][-1] is None
    breaks_off = not read_lines.is_empty() and not part.content.endswith(b"\n")
    return _PartLines(
        PartRead(part.name, fields.height, breaks_off and not (ends_in_a_row and order[-1] == "last_update_date")),
        content,
        read_lines,
        is_cut=breaks_off and not ends_in_a_row,
    )


def _content_of(part: Part) -> bytes:
    """The part's content without BOM and with LF line ends, refused where it begins as something else does."""
    content = part.content.removeprefix(BOM_UTF8)
    if kind := signatures.file_kind(content):
        raise UnreadablePayload(f"this is {kind}", part.name)
    start = content[:256].decode(errors="ignore")[:64].lstrip()
    if not start and not _decoded(part, content).strip():
        raise UnreadablePayload("the body is empty", part.name)
    if start.startswith("<"):
        raise UnreadablePayload(f"this is an HTML or XML page, not a pipe-separated file: {start[:40]!r}", part.name)
    if start.startswith(("{", "[")):
        raise UnreadablePayload(f"this is JSON, not a pipe-separated file: {start[:40]!r}", part.name)
    return content.replace(b"\r\n", b"\n") if b"\r" in content else content


def _decoded(part: Part, content: bytes) -> str:
    """The part's content without BOM, or how it begins, as text."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = error.start + len(BOM_UTF8) * part.content.startswith(BOM_UTF8)
        raise UnreadablePayload(f"not UTF-8 text (line {line}, byte {byte:,})", part.name) from error


def _header_of(part: Part, content: bytes) -> str:
    return _decoded(part, io.BytesIO(content).readline()).removesuffix("\n")


def _texts_of(content: bytes) -> pl.Series:
    """The lines below the header. A blank line is a line too. The last newline begins none."""
    text = pl.Series([content], dtype=pl.Binary).cast(pl.String)
    lines = text.str.split("\n").explode()
    return lines[1:] if lines[-1] else lines[1:-1]


def _with_texts(rejected: pl.DataFrame, parts: Sequence[_PartLines]) -> pl.DataFrame:
    """The lines that are no rows, with their texts."""
    of_parts = [(rejected.filter(pl.col("part") == part.read.name.value), part.content) for part in parts]
    return pl.concat(
        lines.with_columns(text=_texts_of(content).gather(lines["line"] - FIRST_LINE) if len(lines) else pl.lit(""))
        for lines, content in of_parts
    )


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


def _fields(part: Part, content: bytes, order: Sequence[str], texts: pl.Categorical) -> pl.DataFrame:
    """The fields of the lines below the header, empty where a line has too few; of more the first ones.

    Columns in which few of the texts are different are categories, `texts`. The header is read, too: polars makes room for
    as many columns as the first line has, however many, and drops a BOM that it begins with.
    """
    try:
        fields = pl.read_csv(
            END_OF_FIELD.sub(rb"\r\r", content) if b"\r" in content else content,
            separator="|",
            quote_char=None,
            has_header=False,
            raise_if_empty=False,
            schema={name: pl.String if name in NUMBERS else texts for name in order},
            empty_string_is_null=False,
            extra_columns="ignore",
            missing_columns="insert",
        )
    except pl.exceptions.ComputeError:
        _decoded(part, part.content.removeprefix(BOM_UTF8))  # says where it is no text
        raise
    return (
        fields[1:]
        .with_row_index("line", FIRST_LINE)
        .select("line", *FIELDS.values())
        .with_columns(categorical().fill_null(""))
    )


def _venues(fields: pl.DataFrame, *, is_ats: bool) -> pl.Series:
    """The venue of each row, as the canonical text has it: an ATS has its MPID there and no name, a firm its name alone."""
    named = fields["mpid" if is_ats else "venue_name"]
    names = named.unique()
    texts = [f"{name}|||" if is_ats else f"||{name}|" for name in names]
    return named.replace_strict(names, texts, return_dtype=named.dtype).alias(VENUE)


def _is_ragged(content: bytes, fields: pl.DataFrame, last: str) -> bool:
    """Whether some lines have fewer fields than there are columns, or more.

    Where none has fewer, so that no last field is empty, the fields have all bytes of the lines but the separators: a line
    with more has others besides.
    """
    if fields.is_empty() or fields.select((pl.col(last) == "").any()).item():
        return not fields.is_empty()
    lengths = [
        pl.col(name).str.len_bytes() if name in NUMBERS else pl.col(name).cat.len_bytes() for name in FIELDS.values()
    ]
    separated = fields.select(pl.sum_horizontal(*lengths).sum()).item() + fields.height * len(COLUMNS)
    return bool(separated != len(content) - content.index(b"\n") - 1 + (not content.endswith(b"\n")))


def _spellings(named: pl.Series, tier: Tier) -> list[str]:
    """Those of the names that name `tier`, in any of FINRA's spellings."""
    return [name for name in named.unique() if _is_tier(name, tier)]


def _is_tier(name: str, tier: Tier) -> bool:
    try:
        return Tier.parse(name) is tier
    except CalendarError:
        return False


def _rules(part: PartName, content: bytes, fields: pl.DataFrame, last: str, tier: Tier) -> list[Rule]:
    """In the order in which they are asked, but those that hold for no line. `last` is the last column of the file."""
    is_of_tier = pl.col("named_tier").is_in(_spellings(fields["named_tier"], tier))
    return [
        *_rules_of_texts(content, fields, last),
        (RejectReason.WRONG_TIER, ~is_of_tier),
        *row_rules(fields, is_ats=part is PartName.ATS),
    ]


def _rules_of_texts(content: bytes, fields: pl.DataFrame, last: str) -> list[Rule]:
    """Those that fields do not tell."""
    if b"\0" not in content and not _is_ragged(content, fields, last):
        return []
    texts = pl.lit(_texts_of(content))
    return [
        (RejectReason.BAD_CHARACTER, texts.str.contains("\0", literal=True)),
        (RejectReason.FIELD_COUNT, texts.str.count_matches("|", literal=True) != len(COLUMNS) - 1),
    ]
