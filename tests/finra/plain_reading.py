"""FINRA's web file read in plain Python, one line after the other: what the product's reading by columns is held to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from pipeline.finra.calendar import CalendarError, Tier

TIER, SYMBOL, ISSUE, NAME, MPID, SHARES, TRADES, DATE = (
    "tierDescription",
    "issueSymbolIdentifier",
    "issueName",
    "marketParticipantName",
    "MPID",
    "totalWeeklyShareQuantity",
    "totalWeeklyTradeCount",
    "lastUpdateDate",
)
DIGITS = re.compile("[0-9]+")
NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?")
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass
class Reading:
    """The canonical texts of the rows, by their keys; and each reject's line, reason and text."""

    rows: dict[str, str] = field(default_factory=dict)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def canonical(self) -> list[str]:
        """The rows' texts in their order."""
        return sorted(self.rows.values())

    @property
    def content_hash(self) -> str:
        """SHA-256 over the rows' texts."""
        return hashlib.sha256("".join(f"{text}\n" for text in self.canonical).encode()).hexdigest()


class Misfit(Exception):
    """A line is no row: the reason."""


def read(content: bytes, tier: Tier, *, is_ats: bool) -> Reading:
    """The rows and rejects of a file that has FINRA's header."""
    header, *lines = content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        del lines[-1]
    reading = Reading()
    for number, line in enumerate(lines, 2):
        try:
            key, figures = _row(line, header.split("|"), tier, is_ats)
            if key in reading.rows:
                raise Misfit("DUPLICATE_KEY")
            reading.rows[key] = f"{key}|{figures}"
        except Misfit as misfit:
            reading.rejects.append((number, str(misfit), line))
    return reading


def _row(line: str, header: list[str], tier: Tier, is_ats: bool) -> tuple[str, str]:
    """The natural key and the figures of a line, as canonical text."""
    _refuse("\0" in line, "BAD_CHARACTER")
    fields = line.split("|")
    _refuse(len(fields) != 8, "FIELD_COUNT")
    row = dict(zip(header, fields, strict=True))
    _refuse(not _is_tier(row[TIER], tier), "WRONG_TIER")
    if is_ats:
        _refuse(row[MPID] == "", "EMPTY_MPID")
    else:
        _refuse(row[MPID] != "", "UNEXPECTED_MPID")
        _refuse(row[NAME] == "", "EMPTY_FIRM")
    _refuse(len(row[SYMBOL]) > 40 or len(row[MPID]) > 10 or len(row[ISSUE]) > 400 or len(row[NAME]) > 400, "TOO_LONG")
    micros = _micros(row[SHARES])
    trades = _trades(row[TRADES])
    _refuse(not _is_date(row[DATE]), "BAD_DATE")
    firm = "" if is_ats else row[NAME]
    return f"{row[SYMBOL]}|{row[ISSUE]}|{row[MPID]}||{firm}|", f"{micros}|{trades}||{row[DATE]}"


def _refuse(misfits: bool, reason: str) -> None:
    if misfits:
        raise Misfit(reason)


def _micros(text: str) -> int:
    _refuse(NEGATIVE.fullmatch(text) is not None, "NEGATIVE_SHARES")
    whole, *fractions = text.split(".")
    _refuse(len(fractions) > 1 or not all(map(DIGITS.fullmatch, [whole, *fractions])), "BAD_SHARES")
    micros = Fraction(text) * 10**6
    _refuse(micros.denominator != 1, "BAD_SHARES")
    _refuse(micros >= 10**18, "TOO_LARGE")
    return int(micros)


def _trades(text: str) -> int:
    _refuse(NEGATIVE.fullmatch(text) is not None, "NEGATIVE_TRADES")
    _refuse(not DIGITS.fullmatch(text), "BAD_TRADES")
    _refuse(int(text) >= 10**12, "TOO_LARGE")
    return int(text)


def _is_tier(text: str, tier: Tier) -> bool:
    try:
        return Tier.parse(text) is tier
    except CalendarError:
        return False


def _is_date(text: str) -> bool:
    if not DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
