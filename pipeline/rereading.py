"""Reading a restated payload by its difference from the one before: only the lines that differ are parsed.

FINRA restates 3 of 168,000 rows: reading all of them again would cost more than all the rest of a restatement. It applies
where the payload before was read whole, by this parser, without rejects: then each line's row depends on that line
alone, and lines that both payloads have are rows that both have. Wherever that is in doubt, `reread` declines, and the
payload is parsed from its first line to its last.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from pipeline.calendar import Tier
from pipeline.lines import LineRules, read_lines
from pipeline.parsed import Parsed, PartRead, Rows
from pipeline.parsing import (
    UnreadablePayload,
    breaks_off,
    canonical_text,
    column_order,
    content_hash,
    decode,
    lines_of,
    non_ats,
    non_ats_shares,
    rows_of,
    sums_of,
)
from pipeline.sources.base import PartName, PayloadFormat, unpack

STRETCH = 1024  # lines compared at once
REACH = 32  # how far on the two payloads are looked at for where they agree again
AGREEMENT = 4  # lines that have to be alike there
MOST = 0.02  # the share of lines that may differ: above it, parsing is as fast
KEY_FIELDS = 6  # of a canonical row: symbol, issue name, MPID, CRD number, firm name, product type


class Declined(Exception):
    """The difference does not tell all: the payload has to be parsed."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A payload as it was read before, without rejects. `canonical` is the text of its rows in natural-key order."""

    content: bytes
    format: PayloadFormat
    canonical: bytes
    rows_non_ats: int
    shares: Decimal
    shares_non_ats: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class _Differing:
    """The rows that are gone, those that are new, the names that these give to venues, and the parts as they are now."""

    gone: Rows
    fresh: Rows
    names: dict[str, str]
    parts: list[PartRead]


def reread(earlier: Earlier, content: bytes, payload_format: PayloadFormat, tier: Tier) -> Parsed | None:
    """What `parse` would return, with the rows that are new in `rows` and those that are gone in `gone`; None to decline."""
    try:
        found = _differing_rows(earlier, content, payload_format, tier)
        gone, fresh = found.gone, found.fresh
        lines = _patched(earlier.canonical.decode().split("\n")[:-1], gone, fresh)
    except (Declined, UnreadablePayload):
        return None
    canonical = canonical_text(lines)
    gone_shares, gone_trades = sums_of(gone)
    fresh_shares, fresh_trades = sums_of(fresh)
    return Parsed(
        rows=fresh,
        gone=gone,
        rejects=[],
        rows_in=len(lines),
        rows_kept=len(lines),
        rows_non_ats=earlier.rows_non_ats - non_ats(gone) + non_ats(fresh),
        shares=earlier.shares - gone_shares + fresh_shares,
        shares_non_ats=earlier.shares_non_ats - non_ats_shares(gone) + non_ats_shares(fresh),
        trades=earlier.trades - gone_trades + fresh_trades,
        canonical=canonical,
        content_hash=content_hash(canonical),
        venue_names=found.names,
        parts=tuple(found.parts),
        updates=Counter(line[-len("YYYY-MM-DD") :] for line in lines),
    )


def _differing_rows(earlier: Earlier, content: bytes, payload_format: PayloadFormat, tier: Tier) -> _Differing:
    before, after = unpack(earlier.content, earlier.format), unpack(content, payload_format)
    if [part.name for part in before] != [part.name for part in after]:
        raise Declined
    gone, fresh, names, parts = Rows(), Rows(), dict[str, str](), []
    for old, new in zip(before, after, strict=True):
        old_header, _, old_body = decode(old).partition("\n")
        new_header, _, new_body = decode(new).partition("\n")
        if old_header != new_header:
            raise Declined
        rules = LineRules(new.name, tier, new.name is PartName.ATS, column_order(new.name, new_header))
        all_lines = lines_of(new_body)
        old_lines, new_lines = differing(lines_of(old_body), all_lines)
        parts.append(PartRead(new.name, len(all_lines), breaks_off(new_body, rules.order, ends_in_a_row=True)))
        gone.extend(_read(old_lines, rules, {}))
        fresh.extend(_read(new_lines, rules, names))
    if len(set(fresh.canonical())) < len(fresh):
        raise Declined  # one row in two spellings: the second is a reject
    return _Differing(_unlike(gone, fresh), _unlike(fresh, gone), names, parts)


def _unlike(rows: Rows, others: Rows) -> Rows:
    """The rows that `others` has not: a line may differ in a venue's name or in spelling, and its row be the same."""
    same = set(others.canonical())
    return rows.without({at for at, line in enumerate(rows.canonical()) if line in same})


def _read(lines: list[str], rules: LineRules, names: dict[str, str]) -> Rows:
    if not lines:
        return Rows()
    columns, rejects = read_lines("\n".join(lines), 2, rules)
    if rejects:
        raise Declined
    names.update(columns.venue_names)
    return rows_of(columns)


def differing(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """The lines that only `old` has, and those that only `new` has; `old` has none twice.

    Equal stretches are compared as slices. Declined when `new` has a line twice or more than the share MOST differs.
    """
    most = max(REACH, int(len(old) * MOST))
    gone: dict[str, None] = {}
    fresh: dict[str, None] = {}
    i = j = 0
    while i < len(old) or j < len(new):
        same = _common(old, i, new, j)
        i, j = i + same, j + same
        skip_old, skip_new = _to_agreement(old, i, new, j)
        gone.update(dict.fromkeys(old[i : i + skip_old]))
        fresh.update(dict.fromkeys(new[j : j + skip_new]))
        i, j = i + skip_old, j + skip_new
        if len(gone) > most or len(fresh) > most:
            raise Declined
    only_old = [line for line in gone if line not in fresh]
    only_new = [line for line in fresh if line not in gone]
    if len(old) - len(only_old) + len(only_new) != len(new):
        raise Declined  # a line stands in `new` twice
    return only_old, only_new


def _common(old: list[str], i: int, new: list[str], j: int) -> int:
    """How many lines from `old[i]` and `new[j]` on are the same."""
    start, size = i, STRETCH
    while size:
        if i + size <= len(old) and j + size <= len(new) and old[i : i + size] == new[j : j + size]:
            i, j = i + size, j + size
        else:
            size //= 2
    return i - start


def _to_agreement(old: list[str], i: int, new: list[str], j: int) -> tuple[int, int]:
    """How many lines to pass over in each, so that what follows agrees: the fewest, and all that is left if need be."""
    for reach in range(1, REACH):
        for skip_old in range(reach + 1):
            skip_new = reach - skip_old
            here = old[i + skip_old : i + skip_old + AGREEMENT]
            there = new[j + skip_new : j + skip_new + AGREEMENT]
            if here == there:
                return min(skip_old, len(old) - i), min(skip_new, len(new) - j)
    return len(old) - i, len(new) - j


def _patched(patched: list[str], gone: Rows, fresh: Rows) -> list[str]:
    """The canonical rows of the new payload; Declined where a row is not there to go, or its key is taken."""
    for line in gone.canonical():
        at = bisect_left(patched, line)
        if at == len(patched) or patched[at] != line:
            raise Declined
        del patched[at]
    for line in fresh.canonical():
        key = "|".join(line.split("|", KEY_FIELDS)[:KEY_FIELDS]) + "|"
        at = bisect_left(patched, key)
        if at < len(patched) and patched[at].startswith(key):
            raise Declined
        insort(patched, line)
    return patched
