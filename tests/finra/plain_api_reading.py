"""Pages of FINRA's API read in plain Python, one row after the other: what the reading by columns is held to."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

ATS, FIRMS, ATS_TOTALS, FIRM_TOTALS = "ATS_W_SMBL_FIRM", "OTC_W_SMBL_FIRM", "ATS_W_SMBL", "OTC_W_SMBL"
TEXTS = ("issueSymbolIdentifier", "issueName", "MPID", "firmCRDNumber", "marketParticipantName", "productTypeCode")
LIMITS = (40, 400, 10, 12, 400, 40)
UNFIT = re.compile("[\x00-\x1f\x7f|\ud800-\udfff]")
HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
CONTEXT = Context(prec=200)


@dataclass(frozen=True)
class Number:
    """A JSON number, as it is written."""

    text: str

    @property
    def value(self) -> Decimal | None:
        """The number; None for one that is no quantity."""
        number = Decimal(self.text)
        fits = len(self.text) <= 40 and number.is_finite() and abs(number.adjusted()) <= 40
        return number if fits else None


@dataclass
class Reading:
    """The rows' canonical texts, the rejects, and what FINRA's totals and the dates come to."""

    rows: list[str] = field(default_factory=list)
    rejects: list[tuple[str, int, str]] = field(default_factory=list)
    odd_notionals: int = 0
    listed: int = 0
    updates: Counter[str] = field(default_factory=Counter)
    differing: set[tuple[bool, str]] = field(default_factory=set)


class Misfit(Exception):
    """A row fits nowhere: the reason."""


def read(pages: list[str]) -> Reading:
    """Pages as JSON."""
    reading, numbers = Reading(), Counter[str]()
    kept: list[tuple[str, int, list[str], str]] = []
    rows = [row for page in pages for row in _rows(page)]
    for row in rows:
        cut = row["summaryTypeCode"]
        numbers[cut] += 1
        _hear(reading, row, cut)
        if cut in (ATS, FIRMS):
            try:
                kept.append((cut, numbers[cut], *_row(row, is_ats=cut == ATS)))
            except Misfit as misfit:
                reading.rejects.append((cut, numbers[cut], str(misfit)))
    _keep(reading, kept)
    reading.differing = _differing(rows)
    reading.rows.sort()
    reading.rejects.sort()
    return reading


def _rows(page: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(page, parse_int=Number, parse_float=Number, parse_constant=Number)
    return rows


def _hear(reading: Reading, row: dict[str, Any], cut: str) -> None:
    notional = row.get("totalNotionalSum")
    reading.odd_notionals += notional is not None and _dollars(notional) is None
    if cut in (ATS, FIRMS, ATS_TOTALS, FIRM_TOTALS):
        reading.listed += 1
        if isinstance(row["lastUpdateDate"], str) and row["lastUpdateDate"]:
            reading.updates[row["lastUpdateDate"]] += 1


def _row(row: dict[str, Any], *, is_ats: bool) -> tuple[list[str], str]:
    """The key and the figures of a row."""
    texts = [_text(row.get(name)) for name in TEXTS]
    texts[3] = texts[3][:-2] if re.fullmatch(r"[0-9]+\.0", texts[3]) else texts[3]
    symbol, issue, mpid, crd, firm, product = texts
    _refuse(any(map(UNFIT.search, texts)), "BAD_CHARACTER")
    _refuse(is_ats and not mpid, "EMPTY_MPID")
    _refuse(not is_ats and bool(mpid), "UNEXPECTED_MPID")
    _refuse(not is_ats and not firm, "EMPTY_FIRM")
    _refuse(any(len(text) > most for text, most in zip(texts, LIMITS, strict=True)), "TOO_LONG")
    micros = _quantity(row["totalWeeklyShareQuantity"], "SHARES", 10**6)
    trades = _quantity(row["totalWeeklyTradeCount"], "TRADES", 1)
    updated = row["lastUpdateDate"]
    _refuse(not isinstance(updated, str) or not _is_day(updated), "BAD_DATE")
    dollars = _dollars(row.get("totalNotionalSum"))
    notional = "" if dollars is None else str(int(dollars.scaleb(6)))
    return [symbol, issue, mpid, crd, "" if is_ats else firm, product], f"{micros}|{trades}|{notional}|{updated}"


def _refuse(misfits: bool, reason: str) -> None:
    if misfits:
        raise Misfit(reason)


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        return "\0"
    if value is None:
        return ""
    return HALF_A_CHARACTER.sub("\0", value.text if isinstance(value, Number) else str(value))


def _quantity(value: Any, named: str, parts: int) -> int:
    """A quantity in whole parts."""
    number = value.value if isinstance(value, Number) else None
    if number is None:
        raise Misfit(f"BAD_{named}")
    _refuse(number < 0, f"NEGATIVE_{named}")
    exact = Fraction(number) * parts
    _refuse(exact.denominator != 1, f"BAD_{named}")
    _refuse(exact >= parts * 10**12, "TOO_LARGE")
    return int(exact)


def _dollars(value: Any) -> Decimal | None:
    number = value.value if isinstance(value, Number) else None
    if number is None:
        return None
    rounded = number.quantize(Decimal("0.000001"), ROUND_HALF_EVEN, CONTEXT)
    return abs(rounded) if 0 <= rounded < 9 * 10**12 else None


def _is_day(text: str) -> bool:
    try:
        return bool(DAY.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _keep(reading: Reading, kept: list[tuple[str, int, list[str], str]]) -> None:
    """Tell the CRD numbers of an MPID apart, and reject what has the natural key of an earlier row."""
    numbers: dict[str, set[str]] = {}
    for cut, _, key, _ in kept:
        if cut == ATS and key[3]:
            numbers.setdefault(key[2], set()).add(key[3])
    seen = set()
    for cut, number, key, figures in sorted(kept, key=lambda row: row[:2]):
        if cut == ATS and key[3] and key[3] == min(numbers[key[2]]):
            key[3] = ""
        if tuple(key) in seen:
            reading.rejects.append((cut, number, "DUPLICATE_KEY"))
        else:
            seen.add(tuple(key))
            reading.rows.append("|".join([*key, figures]))


def _differing(rows: list[dict[str, Any]]) -> set[tuple[bool, str]]:
    """The families and symbols whose firm rows do not add up to their total."""
    between: dict[tuple[bool, str], list[Fraction]] = {}
    seen = set()
    for row in rows:
        cut = row["summaryTypeCode"]
        key = (cut, *(_text(row.get(name)) for name in TEXTS))
        if cut not in (ATS, FIRMS, ATS_TOTALS, FIRM_TOTALS) or key in seen:
            continue
        seen.add(key)
        sums = between.setdefault((cut.startswith("ATS"), key[1]), [Fraction(0), Fraction(0)])
        sign = 1 if cut in (ATS, FIRMS) else -1
        sums[0] += sign * _adding(row["totalWeeklyShareQuantity"])
        sums[1] += sign * _adding(row["totalWeeklyTradeCount"], whole=True)
    return {place for place, (shares, trades) in between.items() if abs(shares) >= 1 or trades}


def _adding(value: Any, *, whole: bool = False) -> Fraction:
    number = value.value if isinstance(value, Number) else None
    fits = number is not None and 0 <= number < 10**12 and not (whole and number != int(number))
    return Fraction(number or 0) if fits else Fraction(0)
