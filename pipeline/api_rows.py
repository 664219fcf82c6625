"""The rules for one row of FINRA's API: what makes a row, and what makes a reject.

As for the web file (`pipeline.lines`), whole columns of a page are checked at once, and only a page in which something is
unusual is read row by row, by the same rules and with a reason for what does not fit. Quantities must be JSON numbers; they
are exact, because decimals were never floats.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipeline.lines import (
    MAX_MPID,
    MAX_NAME,
    MAX_SYMBOL,
    Columns,
    Misfit,
    RejectedLine,
    RejectReason,
    is_date,
    quantity_micros,
    trade_count,
)
from pipeline.sources.finra_api.oddities import is_notional
from pipeline.sources.finra_api.pages import (
    CRD,
    FIRM,
    ISSUE,
    MPID,
    NOTIONAL,
    PRODUCT,
    SHARES,
    SYMBOL,
    TRADES,
    TYPE,
    UPDATED,
    JsonRow,
    SummaryType,
    decode,
    unpack_pages,
)

MAX_PRODUCT_TYPE = 40
MAX_CRD = 12
MICRO = Decimal("0.000001")
# What would end a field or a line of canonical text, what PostgreSQL stores in no text, and halves of characters.
UNFIT = re.compile("[\x00-\x1f\x7f|\ud800-\udfff]")
TEXTS = (SYMBOL, ISSUE, MPID, CRD, FIRM, PRODUCT)
CRD_AT = TEXTS.index(CRD)
Cut = tuple[SummaryType, int, list[JsonRow]]
LIMITS = (MAX_SYMBOL, MAX_NAME, MAX_MPID, MAX_CRD, MAX_NAME, MAX_PRODUCT_TYPE)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as canonical text."""

    security: str
    venue: str
    product_type: str
    micros: str
    trades: str
    notional: str
    updated: str
    crd: str
    name: tuple[str, str] | None


def firm_rows(content: bytes, heard: Callable[[Sequence[JsonRow]], None]) -> Iterator[Cut]:
    """The firm rows of a payload, page by page: their cut, the number of the first within it (from 1), and the rows.

    `heard` is told every row, the totals and other cuts too. NotRows for a page that is not rows.
    """
    read: Counter[SummaryType] = Counter()
    for body in unpack_pages(content):
        rows = decode(body)
        heard(rows)
        for cut in (SummaryType.ATS_FIRMS, SummaryType.NON_ATS_FIRMS):
            of_cut = [row for row in rows if row[TYPE] == cut]
            if of_cut:
                yield cut, read[cut] + 1, of_cut
                read[cut] += len(of_cut)


def lines_of_pages(content: bytes) -> Iterator[tuple[str, int, str]]:
    """Each firm row of a payload: its cut, its number, and its text."""
    for cut, first, rows in firm_rows(content, lambda rows: None):
        yield from ((cut.value, number, _shown(row)) for number, row in enumerate(rows, first))


def read_rows(rows: Sequence[JsonRow], first: int, summary_type: SummaryType) -> tuple[Columns, list[RejectedLine]]:
    """The rows of a page, and those that fit nowhere; `first` is the number of its first row within the cut, from 1."""
    columns = _as_columns(rows, summary_type)
    return (columns, []) if columns is not None else _one_by_one(rows, first, summary_type)


def _as_columns(rows: Sequence[JsonRow], summary_type: SummaryType) -> Columns | None:
    """All rows at once; None when one may be unusual."""
    texts = [[_text(row.get(name)) for row in rows] for name in TEXTS]
    texts[CRD_AT] = list(map(_crd, texts[CRD_AT]))
    dates = [row[UPDATED] for row in rows]
    if UNFIT.search("".join(map("".join, texts))) or any(
        max(map(len, t)) > most for t, most in zip(texts, LIMITS, strict=True)
    ):
        return None
    symbols, issues, mpids, crds, firms, products = texts
    named = mpids if summary_type.is_ats else firms
    if not all(named) or (any(mpids) and not summary_type.is_ats):
        return None
    if set(map(type, dates)) != {str} or not all(map(is_date, set(dates))):
        return None
    try:
        return Columns(
            securities=list(map("|".join, zip(symbols, issues, strict=True))),
            venues=_venues(mpids, crds, firms, summary_type),
            micros=[_micros(row[SHARES]) for row in rows],
            trades=[_trades(row[TRADES]) for row in rows],
            dates=dates,
            venue_names=dict(zip(mpids, firms, strict=True)) if summary_type.is_ats else {},
            product_types=products,
            notionals=[_notional(row.get(NOTIONAL)) for row in rows],
            crds=crds if summary_type.is_ats else [],
        )
    except Misfit:
        return None


def _venues(mpids: list[str], crds: list[str], firms: list[str], summary_type: SummaryType) -> list[str]:
    """The venue keys: an ATS is its MPID, a firm its CRD number and name."""
    if summary_type.is_ats:
        keys = {mpid: f"{mpid}||" for mpid in set(mpids)}
        return list(map(keys.__getitem__, mpids))
    return list(map("|{}|{}".format, crds, firms))


def _one_by_one(rows: Sequence[JsonRow], first: int, summary_type: SummaryType) -> tuple[Columns, list[RejectedLine]]:
    kept, rejects = [], []
    for number, row in enumerate(rows, first):
        try:
            kept.append(_row(row, summary_type))
        except Misfit as misfit:
            rejects.append(RejectedLine(summary_type.value, number, misfit.reason, _shown(row)))
    return _columns(kept), rejects


def _columns(kept: Iterable[_Row]) -> Columns:
    columns = Columns([], [], [], [], [], {}, [], [], [])
    for row in kept:
        columns.securities.append(row.security)
        columns.venues.append(row.venue)
        columns.micros.append(row.micros)
        columns.trades.append(row.trades)
        columns.dates.append(row.updated)
        columns.product_types.append(row.product_type)
        columns.notionals.append(row.notional)
        columns.crds.append(row.crd)
        columns.venue_names.update([row.name] if row.name else [])
    return columns


def _row(row: JsonRow, summary_type: SummaryType) -> _Row:
    """One row; Misfit when it is none."""
    texts = [_text(row.get(name)) for name in TEXTS]
    texts[CRD_AT] = _crd(texts[CRD_AT])
    _require(not any(map(UNFIT.search, texts)), RejectReason.BAD_CHARACTER)
    _require(all(len(text) <= most for text, most in zip(texts, LIMITS, strict=True)), RejectReason.TOO_LONG)
    symbol, issue, mpid, crd, firm, product = texts
    _require(bool(mpid) or not summary_type.is_ats, RejectReason.EMPTY_MPID)
    _require(not mpid or summary_type.is_ats, RejectReason.UNEXPECTED_MPID)
    _require(bool(firm) or summary_type.is_ats, RejectReason.EMPTY_FIRM)
    micros, trades, notional = _micros(row[SHARES]), _trades(row[TRADES]), _notional(row.get(NOTIONAL))
    _require(isinstance(row[UPDATED], str) and is_date(row[UPDATED]), RejectReason.BAD_DATE)
    (venue,) = _venues([mpid], [crd], [firm], summary_type)
    name = (mpid, firm) if summary_type.is_ats else None
    own_crd = crd if summary_type.is_ats else ""
    return _Row(f"{symbol}|{issue}", venue, product, micros, trades, notional, str(row[UPDATED]), own_crd, name)


def _text(value: Any) -> str:
    """A field as text: null and "" are both empty, a CRD number is a number or its digits."""
    return "" if value is None else str(value)


def _crd(text: str) -> str:
    """A CRD number without the `.0` that a number carries which went through a double."""
    return text.removesuffix(".0") if text.endswith(".0") and text[:-2].isdecimal() else text


def _micros(value: Any) -> str:
    """A share quantity in millionths. Misfit when it is no JSON number of up to six places."""
    if type(value) is int and 0 < value < 10**12:
        return f"{value}000000"
    return quantity_micros(_digits(value, RejectReason.BAD_SHARES))


def _trades(value: Any) -> str:
    if type(value) is int and 0 <= value < 10**12:
        return str(value)
    digits = _digits(value, RejectReason.BAD_TRADES)
    whole, _, fraction = digits.partition(".")
    return trade_count(whole if fraction.strip("0") == "" else digits)  # 1234.0 is 1234


def _notional(value: Any) -> str:
    """US dollars in millionths, rounded to them, for FINRA sends sums of fractions.

    Empty where FINRA gives none, or one that cannot be read (`Odd.NOTIONAL`): it never costs a row its shares.
    """
    if value is None or not is_notional(value):
        return ""
    return quantity_micros(f"{Decimal(value).quantize(MICRO):f}")


def _digits(value: Any, reason: RejectReason) -> str:
    """A JSON number as digits, without an exponent. Misfit for anything else: a text, a null, true."""
    _require(type(value) in (int, Decimal), reason)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _require(holds: bool, reason: RejectReason) -> None:
    if not holds:
        raise Misfit(reason)


def _shown(row: JsonRow) -> str:
    """The row as JSON, with the characters escaped that a database may not take."""
    return json.dumps(row, default=str)
