"""The rules for one line of FINRA's web file: what makes a row, and what makes a reject.

Twice, on purpose: `read_block` checks whole columns of a block at once and gives up on anything unusual; `read_lines`
reads the same block line by line and names what does not fit. A test holds the two to the same answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from pipeline.calendar import CalendarError, Tier, read_day
from pipeline.plain_text import storable

FIELDS = 8
LONGEST_REJECT = 1000  # characters: three times what the longest of FINRA's lines has
MAX_SYMBOL = 40
MAX_NAME = 400
MAX_MPID = 10
MAX_SHARES_DIGITS = 12  # in front of the point, in a block that is not looked at one by one
MAX_MICROS = 2**63 - 1  # a bigint of millionths: 9.2 * 10^12 shares
MAX_TRADES_DIGITS = 12  # so that the sum over any payload fits a bigint
QUANTITY = re.compile(r"0*([1-9][0-9]*|0)(?:\.([0-9]{1,6})0*)?", re.ASCII)  # in linear time, on a field of zeros too
INTEGER = re.compile(r"0*([1-9][0-9]*|0)", re.ASCII)
NEGATIVE = re.compile(r"-[0-9]+(?:\.[0-9]+)?", re.ASCII)


class RejectReason(StrEnum):
    """Why a line is not a row."""

    FIELD_COUNT = "FIELD_COUNT"
    WRONG_TIER = "WRONG_TIER"
    EMPTY_MPID = "EMPTY_MPID"
    UNEXPECTED_MPID = "UNEXPECTED_MPID"
    EMPTY_FIRM = "EMPTY_FIRM"
    BAD_SHARES = "BAD_SHARES"
    NEGATIVE_SHARES = "NEGATIVE_SHARES"
    BAD_TRADES = "BAD_TRADES"
    NEGATIVE_TRADES = "NEGATIVE_TRADES"
    TOO_LARGE = "TOO_LARGE"
    BAD_DATE = "BAD_DATE"
    TOO_LONG = "TOO_LONG"
    BAD_CHARACTER = "BAD_CHARACTER"
    DUPLICATE_KEY = "DUPLICATE_KEY"


class Misfit(Exception):
    """A line does not make a row."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is not stored: the part it stood in, its number (the header is 1), why, and its text."""

    part: str
    line: int
    reason: RejectReason
    text: str

    def __post_init__(self) -> None:
        """A line may be 20 MB long, and the payload has the whole of it: here is how it begins."""
        object.__setattr__(self, "text", storable(self.text, LONGEST_REJECT))


@dataclass(frozen=True, slots=True)
class LineRules:
    """What a part's lines must be. `order` is where each column of the web file stands in this file."""

    part: str
    tier: Tier
    is_ats: bool
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """A block's rows as columns of canonical text (see `pipeline.parsed.Rows`).

    The web file has neither product types nor notionals, nor the CRD numbers of ATSs (`crds`).
    """

    securities: list[str]
    venues: list[str]
    micros: list[str]
    trades: list[str]
    dates: list[str]
    venue_names: dict[str, str]
    product_types: list[str] = field(default_factory=list)
    notionals: list[str] = field(default_factory=list)
    crds: list[str] = field(default_factory=list)


def read_block(block: str, rules: LineRules) -> Columns | None:
    """The rows of a block whose every line is as it should be; None when one may not be.

    A line end counts as a field, the ninth: where one line is short and the next is long, it stands elsewhere.
    """
    fields, ends = block.replace("\n", "|\n|").split("|"), block.count("\n")
    stride = FIELDS + 1
    if len(fields) != stride * ends + FIELDS or fields[FIELDS::stride].count("\n") != ends or "\0" in block:
        return None
    tiers, symbols, issues, names, mpids, shares, trades, dates = (fields[at::stride] for at in rules.order)
    venues = _venues(names, mpids, rules)
    if venues is None or set(tiers) != {rules.tier.description} or not all(map(is_date, set(dates))):
        return None
    securities = list(map("|".join, zip(symbols, issues, strict=True)))
    micros = _micros(shares)
    if micros is None or not _are_integers(trades) or _too_long(symbols, issues):
        return None
    return Columns(
        securities, venues, micros, trades, dates, dict(zip(mpids, names, strict=True)) if rules.is_ats else {}
    )


def read_lines(block: str, first_line: int, rules: LineRules) -> tuple[Columns, list[RejectedLine]]:
    """The rows of a block, line by line, and the lines that make none."""
    columns = Columns([], [], [], [], [], {})
    rejects = []
    for number, text in enumerate(block.split("\n"), first_line):
        try:
            _append(columns, text, rules)
        except Misfit as misfit:
            rejects.append(RejectedLine(rules.part, number, misfit.reason, text))
    return columns, rejects


def _append(columns: Columns, text: str, rules: LineRules) -> None:
    """Add the row that `text` is; Misfit when it is none, with nothing added."""
    _require("\0" not in text, RejectReason.BAD_CHARACTER)
    fields = text.split("|")
    _require(len(fields) == FIELDS, RejectReason.FIELD_COUNT)
    tier, symbol, issue, name, mpid, shares, trades, updated = (fields[at] for at in rules.order)
    _require(_is_tier(tier, rules.tier), RejectReason.WRONG_TIER)
    _require(bool(mpid) or not rules.is_ats, RejectReason.EMPTY_MPID)
    _require(not mpid or rules.is_ats, RejectReason.UNEXPECTED_MPID)
    _require(bool(name) or rules.is_ats, RejectReason.EMPTY_FIRM)
    _require(len(symbol) <= MAX_SYMBOL and len(mpid) <= MAX_MPID, RejectReason.TOO_LONG)
    _require(len(issue) <= MAX_NAME and len(name) <= MAX_NAME, RejectReason.TOO_LONG)
    micros, count = quantity_micros(shares), trade_count(trades)
    _require(is_date(updated), RejectReason.BAD_DATE)
    columns.securities.append(f"{symbol}|{issue}")
    columns.venues.append(f"{mpid}||" if rules.is_ats else f"||{name}")
    columns.micros.append(micros)
    columns.trades.append(count)
    columns.dates.append(updated)
    if rules.is_ats:
        columns.venue_names[mpid] = name


def quantity_micros(text: str) -> str:
    """A share quantity in millionths: "1.50" -> "1500000". Misfit when it is not a number of up to 6 places."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise Misfit(RejectReason.NEGATIVE_SHARES if NEGATIVE.fullmatch(text) else RejectReason.BAD_SHARES)
    whole, fraction = match[1], match[2] or ""
    micros = (whole + fraction.ljust(6, "0")).lstrip("0") or "0"
    _require(len(micros) <= len(str(MAX_MICROS)) and int(micros) <= MAX_MICROS, RejectReason.TOO_LARGE)
    return micros


def trade_count(text: str) -> str:
    """A trade count without leading zeros. Misfit when it is not an integer from 0."""
    match = INTEGER.fullmatch(text)
    if match is None:
        raise Misfit(RejectReason.NEGATIVE_TRADES if NEGATIVE.fullmatch(text) else RejectReason.BAD_TRADES)
    _require(len(match[1]) <= MAX_TRADES_DIGITS, RejectReason.TOO_LARGE)
    return match[1]


def _require(holds: bool, reason: RejectReason) -> None:
    if not holds:
        raise Misfit(reason)


@lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """Whether `text` is a date as YYYY-MM-DD."""
    return read_day(text) is not None


@lru_cache(maxsize=256)
def _is_tier(text: str, tier: Tier) -> bool:
    """Whether `text` names `tier`, in any of FINRA's spellings."""
    try:
        return Tier.parse(text) is tier
    except CalendarError:
        return False


def _venues(names: list[str], mpids: list[str], rules: LineRules) -> list[str] | None:
    """The venue key of each row of a block; None when one is not as it should be."""
    if rules.is_ats:
        keys = {mpid: f"{mpid}||" for mpid in set(mpids)}
        fits = "" not in keys and max(map(len, keys)) <= MAX_MPID and len(max(names, key=len)) <= MAX_NAME
        return list(map(keys.__getitem__, mpids)) if fits else None
    keys = {name: f"||{name}" for name in set(names)}
    fits = "" not in keys and not any(mpids) and max(map(len, keys)) <= MAX_NAME
    return list(map(keys.__getitem__, names)) if fits else None


def _micros(shares: list[str]) -> list[str] | None:
    """The share quantities of a block in millionths; None when one is unusual."""
    characters = "".join(shares)
    if not (characters.isascii() and characters.replace(".", "").isdigit()):
        return None
    try:
        if min(shares) < "1" or len(max(shares, key=len)) > MAX_SHARES_DIGITS:  # empty, with a leading zero, or long
            return list(map(quantity_micros, shares))
        return [quantity_micros(text) if "." in text else f"{text}000000" for text in shares]
    except Misfit:
        return None


def _are_integers(trades: list[str]) -> bool:
    """Whether all are integers written canonically."""
    digits = "".join(trades)
    if not (digits.isdigit() and digits.isascii() and all(trades)):
        return False
    return min(trades) >= "1" and len(max(trades, key=len)) <= MAX_TRADES_DIGITS


def _too_long(symbols: list[str], issues: list[str]) -> bool:
    """Whether a symbol or an issue name is too long."""
    return len(max(symbols, key=len)) > MAX_SYMBOL or len(max(set(issues), key=len)) > MAX_NAME
