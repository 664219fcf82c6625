"""A payload's bytes to typed rows and rejects, and the content hash."""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain

from pipeline import signatures
from pipeline.calendar import Tier
from pipeline.lines import FIELDS, Columns, LineRules, RejectedLine, RejectReason, read_block, read_lines
from pipeline.parsed import Parsed, PartRead, Rows
from pipeline.plain_text import shortened
from pipeline.sources.base import MOST_ROWS, Part, PartName, PayloadFormat, too_many_rows, unpack

PARSER_VERSION = 1

COLUMNS = (
    "tierDescription",
    "issueSymbolIdentifier",
    "issueName",
    "marketParticipantName",
    "MPID",
    "totalWeeklyShareQuantity",
    "totalWeeklyTradeCount",
    "lastUpdateDate",
)
BLOCK_CHARACTERS = 32 * 1024  # what a block's columns take stays in the processor's cache: twice as fast as 512 KiB
SHOWN_OF_A_NAME = 200
MOST_MISPLACED = 200_000  # more rows than the largest ATS file has


class UnreadablePayload(Exception):
    """The payload as a whole is not FINRA's format. `problem` says what it is and what was expected, `part` where."""

    def __init__(self, problem: str, part: PartName | None = None) -> None:
        self.problem, self.part = problem, part
        super().__init__(f"the {part.kind} file: {problem}" if part else problem)

    def of_file(self, name: str) -> str:
        """The message, under the name that the operator has the part under."""
        return f"{name}: {self.problem}" if self.part else self.problem


Lines = Callable[[], Iterator[tuple[str, int, str]]]  # part, number and text of each line, once more


@dataclass(slots=True)
class _Reading:
    """What has been read so far, of at most `most` lines, of which a share of `max_reject_share` may be rejects."""

    most: int
    max_reject_share: float
    rows: Rows = field(default_factory=Rows)
    lines: list[Lines] = field(default_factory=list)
    rejects: list[RejectedLine] = field(default_factory=list)
    rows_in: int = 0
    misplaced: int = 0  # rows of the non-ATS file that name an MPID, as ATS rows do
    has_both_parts: bool = False
    venue_names: dict[str, str] = field(default_factory=dict)
    crds: list[str] = field(default_factory=list)  # of the ATS of each row; empty where the source gives none
    parts: list[PartRead] = field(default_factory=list)
    cut: int = 0  # rejects that are the broken last line of a part: no sign of another format

    def add(self, columns: Columns) -> None:
        """Append the rows of one block."""
        self.rows.extend(rows_of(columns))
        self.crds.extend(columns.crds or [""] * len(columns.venues))
        self.venue_names.update(columns.venue_names)

    def kept_lines(self) -> Iterator[RejectedLine]:
        """The line of each row, in the order of the rows, as the duplicate that it may turn out to be."""
        rejected = {(reject.part, reject.line) for reject in self.rejects}
        for part, number, text in chain.from_iterable(lines() for lines in self.lines):
            if (part, number) not in rejected:
                yield RejectedLine(part, number, RejectReason.DUPLICATE_KEY, text)


def parse(
    content: bytes,
    payload_format: PayloadFormat,
    tier: Tier,
    max_reject_share: float,
    max_rows: int = MOST_ROWS,
) -> Parsed:
    """Read a payload of `tier`.

    Raises UnreadablePayload for what is not FINRA's format, has more than `max_rows` lines, or has more than
    `max_reject_share` (0-1) of its lines rejected: as soon as that is certain, for a tiny file may have millions of lines.
    A header without rows is read, and a body that breaks off in a line; what they mean is decided in
    `pipeline.plausibility`.
    """
    reading = _Reading(max_rows, max_reject_share)
    _read_parts(reading, unpack(content, payload_format), tier)
    _tell_crds_apart(reading)
    rows = _reject_duplicates(reading)
    _refuse_too_many_rejects(reading, reading.rows_in)
    if reading.rows_in != len(rows) + len(reading.rejects):
        raise AssertionError(f"{reading.rows_in} rows in, {len(rows)} kept, {len(reading.rejects)} rejected")
    canonical = canonical_text(sorted(rows.canonical()))
    shares, trades = sums_of(rows)
    return Parsed(
        rows=rows,
        rejects=sorted(reading.rejects, key=lambda reject: (reject.part, reject.line)),
        rows_in=reading.rows_in,
        rows_kept=len(rows),
        rows_non_ats=non_ats(rows),
        shares=shares,
        shares_non_ats=non_ats_shares(rows),
        trades=trades,
        canonical=canonical,
        content_hash=content_hash(canonical),
        venue_names=reading.venue_names,
        updates=Counter(rows.dates),
        parts=tuple(reading.parts),
        misplaced=reading.misplaced,
    )


def rows_of(columns: Columns) -> Rows:
    """The rows of a block."""
    nothing = [""] * len(columns.securities)
    return Rows(
        columns.securities,
        columns.venues,
        columns.product_types or nothing,
        columns.micros,
        columns.trades,
        columns.notionals or nothing.copy(),
        columns.dates,
    )


def sums_of(rows: Rows) -> tuple[Decimal, int]:
    """Shares and trades, added up exactly."""
    return Decimal(sum(map(int, rows.micros))).scaleb(-6), sum(map(int, rows.trades))


def non_ats(rows: Rows) -> int:
    """How many of the rows are of non-ATS firms: those whose venue has no MPID."""
    return sum(venue[0] == "|" for venue in rows.venues)


def non_ats_shares(rows: Rows) -> Decimal:
    """The shares of the non-ATS firms, added up exactly."""
    pairs = zip(rows.venues, rows.micros, strict=True)
    return Decimal(sum(int(micros) for venue, micros in pairs if venue[0] == "|")).scaleb(-6)


def canonical_text(lines: Sequence[str]) -> bytes:
    """Canonical rows, given in natural-key order, as the text that is hashed: each with its newline."""
    return "\n".join([*lines, ""]).encode()


def content_hash(canonical: bytes) -> str:
    """SHA-256 over the canonical rows in natural-key order: whatever order and formatting they came in."""
    return hashlib.sha256(canonical).hexdigest()


def _read_parts(reading: _Reading, parts: Sequence[Part], tier: Tier) -> None:
    lines = sum(map(_lines_below_header, parts))
    if lines > reading.most:
        raise UnreadablePayload(f"the payload has {too_many_rows(reading.most)}")
    reading.most = lines
    reading.has_both_parts = len(parts) > 1
    for part in parts:
        _read_part(reading, part, tier)


def _lines_below_header(part: Part) -> int:
    """How many, without a look at any; the last one may lack its newline."""
    return max(part.content.count(b"\n") - part.content.endswith(b"\n"), 0)


def _read_part(reading: _Reading, part: Part, tier: Tier) -> None:
    text = decode(part)
    header, _, body = text.partition("\n")
    rules = LineRules(
        part=part.name,
        tier=tier,
        is_ats=part.name is PartName.ATS,
        order=column_order(part.name, header),
    )
    reading.lines.append(lambda: ((part.name, number, line) for number, line in enumerate(lines_of(body), 2)))
    line, cut = 2, False
    unended = body.count("\n") + 2 if body and not body.endswith("\n") else 0
    for block in _blocks(body):
        columns = read_block(block, rules)
        if columns is None:
            columns, rejects = read_lines(block, line, rules)
            reading.rejects.extend(rejects)
            cut = any(reject.line == unended for reject in rejects[-1:])
            reading.cut += cut
            reading.misplaced += sum(reject.reason is RejectReason.UNEXPECTED_MPID for reject in rejects)
        reading.add(columns)
        lines = block.count("\n") + 1
        reading.rows_in += lines
        line += lines
        _refuse_too_many_rejects(reading, reading.most)
    reading.parts.append(PartRead(part.name, line - 2, breaks_off(body, rules.order, ends_in_a_row=not cut)))


def breaks_off(body: str, order: tuple[int, ...], *, ends_in_a_row: bool) -> bool:
    """Whether a body ends in the midst of a line.

    FINRA's own last line may lack its newline: then it ends in a whole date, of which nothing can have been cut. Where
    another column is the last, it cannot be told whether its value is whole.
    """
    return bool(body) and not body.endswith("\n") and (not ends_in_a_row or order[-1] != FIELDS - 1)


def lines_of(body: str) -> list[str]:
    """The lines below the header; a blank one is a line too. The last newline begins none."""
    return body.removesuffix("\n").split("\n") if body else []


def _blocks(body: str) -> Iterator[str]:
    """`lines_of(body)` in pieces of whole lines, without the newline at the end of a piece."""
    start, end = 0, len(body) - body.endswith("\n")
    while body and start <= end:
        stop = body.find("\n", min(start + BLOCK_CHARACTERS, end), end)
        stop = end if stop == -1 else stop
        yield body[start:stop]
        start = stop + 1


def decode(part: Part) -> str:
    """The part's text, without BOM and with LF line ends."""
    content = part.content.removeprefix(BOM_UTF8)
    if kind := signatures.told(content):
        raise UnreadablePayload(f"this is {kind}", part.name)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, len(part.content) - len(content) + error.start
        raise UnreadablePayload(f"not UTF-8 text (line {line}, byte {byte:,})", part.name) from error
    if not text or text.isspace():
        raise UnreadablePayload("the body is empty", part.name)
    start = text[:64].lstrip()
    if start.startswith("<"):
        raise UnreadablePayload(f"this is an HTML or XML page, not a pipe-separated file: {start[:40]!r}", part.name)
    if start.startswith(("{", "[")):
        raise UnreadablePayload(f"this is JSON, not a pipe-separated file: {start[:40]!r}", part.name)
    return text.replace("\r\n", "\n") if "\r" in text else text


def column_order(part: str, header: str) -> tuple[int, ...]:
    """Where each of COLUMNS stands in the header."""
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
        raise UnreadablePayload(f"the header's columns are not FINRA's ({'; '.join(found)})", PartName(part))
    return tuple(names.index(name) for name in COLUMNS)


def _tell_crds_apart(reading: _Reading) -> None:
    """Put the CRD number into the venue of an ATS row whose MPID stands under another one, too (finra.md, "Natural key").

    The rows under the lowest of its numbers keep the MPID alone, as every other ATS row does: the order of the rows does not
    matter.
    """
    numbers: dict[str, set[str]] = {}
    for venue, crd in set(zip(reading.rows.venues, reading.crds, strict=True)):
        if crd:
            numbers.setdefault(venue, set()).add(crd)
    lowest = {venue: min(crds) for venue, crds in numbers.items() if len(crds) > 1}
    if lowest:
        reading.rows.venues[:] = [
            f"{venue[:-2]}|{crd}|" if crd and venue in lowest and crd != lowest[venue] else venue
            for venue, crd in zip(reading.rows.venues, reading.crds, strict=True)
        ]


def _reject_duplicates(reading: _Reading) -> Rows:
    """The rows without those whose natural key an earlier line of the payload has; those become rejects."""
    keys = reading.rows.keys()
    if len(set(keys)) == len(keys):
        return reading.rows
    seen: set[str] = set()
    repeated = set()
    for position, (key, line) in enumerate(zip(keys, list(reading.kept_lines()), strict=True)):
        if key in seen:
            repeated.add(position)
            reading.rejects.append(line)
        seen.add(key)
    return reading.rows.without(repeated)


def _refuse_too_many_rejects(reading: _Reading, most: int) -> None:
    """UnreadablePayload when more was rejected than is allowed of `most` rows, those read so far or all.

    Rows of a non-ATS file that name an MPID do not count beside ATS rows: the good half is kept, and the other one told.
    """
    misplaced = reading.misplaced if reading.has_both_parts else 0
    rejected, read = len(reading.rejects) - reading.cut - misplaced, reading.rows_in
    share = f"{reading.max_reject_share * 100:g}%"
    if rejected <= (most - misplaced) * reading.max_reject_share and misplaced <= MOST_MISPLACED:
        return
    of = f"of {read:,} rows were rejected, more than {share} allows"
    if read < most:
        of = f"of the first {read:,} rows were rejected, more than {share} of {most:,} allows"
    first = "; ".join(f"line {reject.line} {reject.reason}" for reject in reading.rejects[:5])
    raise UnreadablePayload(f"{rejected:,} {of}: {first}")
