"""The rows of a page, decoded once: for its check, for FINRA's totals, and for what is captured.

A field may have any JSON type here, and a number is kept as FINRA wrote it: a value that fits nowhere costs its row, and no
other. Rows become a frame of texts, so that one set of rules holds for the columns of all formats.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any, Literal

import msgspec
import polars as pl

from pipeline.finra.payloads import SAMPLE_MARK
from pipeline.finra.sources.api.control_totals import Listing, listing_of
from pipeline.finra.sources.api.fields import (
    CRD,
    DESCRIPTION,
    FIELDS,
    FIRM,
    HISTORIC_FIELDS,
    ISSUE,
    MPID,
    NOTIONAL,
    PRODUCT,
    PUBLISHED,
    REPORTED,
    REQUIRED,
    SHARES,
    SYMBOL,
    TIER,
    TRADES,
    TYPE,
    UPDATED,
    WEEK,
    WEEK_STARTED,
)
from pipeline.finra.sources.api.oddities import Oddities, dollars, oddities_of
from pipeline.finra.sources.base import SourceError

JsonRow = dict[str, Any]
MOST_DIGITS = 40
MOST = 10**MOST_DIGITS
UNFIT = "\0"  # for a list, an object or half a character: no text of a row has it
PLAIN = re.compile(r"-?[0-9]+\.[0-9]+")
HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")

# What the columns of a frame are made of. The columns that all formats have are called as in `pipeline.finra.rows`.
TEXTS = {
    "cut": TYPE,
    "week_start": WEEK,
    "tier_code": TIER,
    "symbol": SYMBOL,
    "issue_name": ISSUE,
    "mpid": MPID,
    "crd": CRD,
    "venue_name": FIRM,
    "product_type": PRODUCT,
    "last_update_date": UPDATED,
    "description": DESCRIPTION,
    "week_started": WEEK_STARTED,
}
QUANTITIES = {"shares": SHARES, "trades": TRADES}
AMOUNTS = {"notional": NOTIONAL}
COLUMNS = {**TEXTS, **QUANTITIES, **AMOUNTS}


class NotRows(SourceError):
    """A reply is not FINRA's rows; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a page: `frame` has a column for each field that is read, `missing` names fields that rows lack.

    All but `notional`, a decimal (`oddities.dollars`), are text, empty where FINRA gives null or none. `shares` and `trades`
    are numbers written without an exponent and without zeros at the end of a fraction, and empty where the value is no
    number of up to 40 digits.
    """

    frame: pl.DataFrame
    listing: Listing
    oddities: Oddities
    is_sample: bool
    missing: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return self.frame.height


_NAMES = (*FIELDS, *HISTORIC_FIELDS, *(name.lower() for name in HISTORIC_FIELDS))
_KNOWN = frozenset(name.lower() for name in _NAMES)
_ALIKE = (WEEK, TIER, TYPE, UPDATED, DESCRIPTION, WEEK_STARTED, PUBLISHED, REPORTED)  # in all rows of most pages
_AS_WRITTEN = str.encode  # a number that is no integer, as bytes: nothing else in JSON is, and no function is quicker
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TEXTS_OF_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


def _field(name: str, said: str | None) -> tuple[str, Any] | tuple[str, Any, None]:
    """A field of a row: any value, or nothing but the text that is said."""
    if said is not None:
        return name, Literal[said]
    return (name, Any) if name in REQUIRED else (name, Any, None)


@lru_cache(maxsize=64)
def _row_of(*alike: str | None) -> Any:
    """The type of a row that says these texts in the fields of `_ALIKE`: a text that is known is not made for each row."""
    said = dict(zip(_ALIKE, alike, strict=False))
    fields = [_field(name, said.get(name)) for name in _NAMES]
    return msgspec.defstruct("_Row", fields, forbid_unknown_fields=True, kw_only=True, gc=False)


@lru_cache(maxsize=64)
def _decoder_of(*alike: str | None) -> msgspec.json.Decoder[list[Any]]:
    return msgspec.json.Decoder(list[_row_of(*alike)], float_hook=_AS_WRITTEN)  # type: ignore[misc]


_FIRST_ROW = msgspec.json.Decoder(_row_of())


def read_rows(body: bytes) -> Rows:
    """The rows of a page. NotRows for anything but a JSON list of objects."""
    for alike in (_first_texts(body), ()):
        with suppress(*REFUSED):
            rows = _decoder_of(*alike).decode(body)
            said = {name: text for name, text in zip(_ALIKE, alike, strict=False) if text is not None}
            return _rows_of({name: said.get(name) or list(map(attrgetter(name), rows)) for name in COLUMNS.values()})
    return _read_patiently(body)


def _first_texts(body: bytes) -> tuple[str | None, ...]:
    """The texts of the first row in the fields of `_ALIKE`."""
    with suppress(*REFUSED):
        row = _FIRST_ROW.decode(body[1 : body.find(b"}") + 1])
        return tuple(text if isinstance(text, str) and text else None for text in attrgetter(*_ALIKE)(row))
    return ()


def decode(body: bytes) -> list[JsonRow]:
    """Rows of any dataset as they are. NotRows for anything but a JSON list of objects."""
    try:
        rows = json.loads(body, parse_float=_AS_WRITTEN, parse_int=_whole, parse_constant=_AS_WRITTEN)
    except (ValueError, RecursionError) as error:
        raise NotRows(f"it is not whole JSON ({error}); it begins {body[:40]!r}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        said = rows.get("message") if isinstance(rows, dict) else None
        raise NotRows(f"it is JSON, and not a list of rows; it says {said!r}" if said else f"it begins {body[:40]!r}")
    return rows


def texts_of(body: bytes) -> list[str]:
    """The JSON text of each row of a page that `read_rows` takes."""
    try:
        return [bytes(text).decode() for text in _TEXTS_OF_ROWS.decode(body)]
    except REFUSED:
        return [json.dumps(row, default=bytes.decode) for row in decode(body)]


def _read_patiently(body: bytes) -> Rows:
    """A page that the fast decoder refuses: for a field too many or too few, a NaN, half a character, 5,000 digits."""
    rows = decode(body)
    names = set(map(frozenset, rows))
    unknown = {name for name in frozenset().union(*names) if name.lower() not in _KNOWN}
    missing = REQUIRED - frozenset(_NAMES).intersection(*names)
    values: dict[str, list[Any] | str] = {
        name: [_whole_characters(row.get(name)) for row in rows] for name in COLUMNS.values()
    }
    return _rows_of(values, frozenset(unknown), missing)


def column_of(field: str) -> str:
    """The column that a field of FINRA's is."""
    return next(column for column, name in COLUMNS.items() if name == field)


def _rows_of(
    values: dict[str, list[Any] | str], unknown: frozenset[str] = frozenset(), missing: frozenset[str] = frozenset()
) -> Rows:
    """The rows whose fields have these values: one for each row, or the text of all."""
    number = len(values[SHARES])
    texts = pl.DataFrame([_series(column, values[name], number) for column, name in COLUMNS.items()])
    frame = texts.with_columns(dollars())
    oddities = oddities_of(frame, texts["notional"], unknown)
    return Rows(frame, listing_of(frame), oddities, _has_samples(frame["venue_name"]), missing)


def _has_samples(venues: pl.Series) -> bool:
    """Whether any venue is invented."""
    return bool(venues.str.contains(SAMPLE_MARK, literal=True).any())


def _series(column: str, values: list[Any] | str, number: int) -> pl.Series:
    if isinstance(values, str):
        return pl.Series(column, [values], dtype=pl.String).new_from_index(0, number)
    if column in TEXTS:
        return _texts(column, values)
    return _quantities(column, values) if column in QUANTITIES else _amounts(column, values)


def _texts(column: str, values: list[Any]) -> pl.Series:
    if column == "crd" and (numbers := _integers(column, values)) is not None:
        return numbers
    try:
        texts = pl.Series(column, values, dtype=pl.String)
    except (TypeError, ValueError):  # something else than text and null is among them
        texts = pl.Series(column, list(map(_text, values)), dtype=pl.String)
    return texts.fill_null("") if texts.null_count() else texts


def _quantities(column: str, values: list[Any]) -> pl.Series:
    numbers = _integers(column, values)
    return pl.Series(column, list(map(_quantity, values)), dtype=pl.String) if numbers is None else numbers


def _amounts(column: str, values: list[Any]) -> pl.Series:
    if not {bytes, NoneType}.issuperset(map(type, values)):
        values = list(map(_amount, values))
    return pl.Series(column, values, dtype=pl.Binary).cast(pl.String)


def _integers(column: str, values: list[Any]) -> pl.Series | None:
    """Integers and nulls as text; None where something else is among them, or one that is longer than any quantity."""
    if {int, NoneType}.issuperset(map(type, values)):
        with suppress(TypeError, OverflowError):
            numbers = pl.Series(column, values, dtype=pl.Int64).cast(pl.String)
            return numbers.fill_null("") if numbers.null_count() else numbers
    return None


def _text(value: Any) -> str:
    """A field as text: null and "" are both empty, a CRD number is a number or its digits."""
    if value is None:
        return ""
    if type(value) is bytes:
        return value.decode()
    return UNFIT if isinstance(value, list | dict) else str(value)


def _quantity(value: Any) -> str:
    if type(value) is int and -MOST < value < MOST:
        return str(value)
    return _digits(value.decode()) if type(value) is bytes else ""


def _digits(text: str) -> str:
    """A number without an exponent. One that would fill the memory with zeros, or as many digits, make no quantity."""
    if len(text) > MOST_DIGITS:
        return ""
    digits = text
    if not PLAIN.fullmatch(text):
        number = Decimal(text)
        if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
            return ""
        digits = f"{number:f}"
    digits = digits.rstrip("0").removesuffix(".") if "." in digits else digits
    return digits if digits.strip("-0") else "0"  # a double can be -0.0, which is not less than nothing


def _amount(value: Any) -> bytes | None:
    if value is None or type(value) is bytes:
        return value
    return b"%d" % value if type(value) is int else b""


def _whole(text: str) -> int | bytes:
    return int(text) if len(text) <= MOST_DIGITS else _AS_WRITTEN(text)


def _whole_characters(value: Any) -> Any:
    """A text without halves of characters, which no frame takes."""
    return HALF_A_CHARACTER.sub(UNFIT, value) if type(value) is str else value
