"""A page of rows as FINRA sends it: what is checked before it is archived, and how pages make a payload.

The payload is a plain POSIX tar: `requests.json` with what was asked and answered, then each page's body, byte for byte,
in the order of its query. It can be parsed again for ever.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.sources.base import SourceError, tar_of

JsonRow = dict[str, Any]
REQUESTS = "requests.json"
MOST_DIGITS = 40

SHARES, TRADES, NOTIONAL = "totalWeeklyShareQuantity", "totalWeeklyTradeCount", "totalNotionalSum"
SYMBOL, ISSUE, PRODUCT = "issueSymbolIdentifier", "issueName", "productTypeCode"
MPID, CRD, FIRM = "MPID", "firmCRDNumber", "marketParticipantName"
WEEK, TIER, TYPE, UPDATED = "weekStartDate", "tierIdentifier", "summaryTypeCode", "lastUpdateDate"

DESCRIPTION, WEEK_STARTED = "tierDescription", "summaryStartDate"

REQUIRED = frozenset({SHARES, TRADES, SYMBOL, ISSUE, WEEK, TIER, TYPE, UPDATED})
# Asked for by name. FINRA leaves out of a reply what a row has not: totalNotionalSum is in newer rows only.
FIELDS = (
    *(WEEK, TIER, TYPE, SYMBOL, ISSUE, PRODUCT, MPID, CRD, FIRM, SHARES, TRADES, NOTIONAL, UPDATED),
    *(DESCRIPTION, WEEK_STARTED, "initialPublishedDate", "lastReportedDate"),
)
HISTORIC_FIELDS = ("historicalWeek", "historicalMonth")  # the history's own; seen in lower case, too
KNOWN = frozenset(name.lower() for name in (*FIELDS, *HISTORIC_FIELDS))
NATURAL_KEY = (TYPE, SYMBOL, ISSUE, MPID, CRD, FIRM, PRODUCT)


class SummaryType(StrEnum):
    """The cuts that a partition is made of: firm rows are its rows, symbol rows the totals they must add up to."""

    ATS_FIRMS = "ATS_W_SMBL_FIRM"
    NON_ATS_FIRMS = "OTC_W_SMBL_FIRM"
    ATS_SYMBOLS = "ATS_W_SMBL"
    NON_ATS_SYMBOLS = "OTC_W_SMBL"

    @property
    def is_ats(self) -> bool:
        """Whether it is of ATS volume; FINRA calls non-ATS volume OTC here, whatever the tier."""
        return self.value.startswith("ATS")

    @property
    def has_firms(self) -> bool:
        """Whether its rows are by symbol and firm."""
        return self.value.endswith("_FIRM")


class NotRows(SourceError):
    """A reply is not FINRA's rows; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Page:
    """The rows that a query has from `offset` on, as many as fitted, of `total`. `body` is what FINRA sent."""

    query: str
    offset: int
    rows: int
    total: int
    request_id: str
    body: bytes

    @property
    def end(self) -> int:
        """Where the next page begins."""
        return self.offset + self.rows


def decode(body: bytes) -> list[JsonRow]:
    """The rows of a page: decimals exact, as FINRA wrote them. NotRows for anything but a JSON list of objects.

    A figure that is no quantity (1e400, a thousand digits, NaN) stays text: then it costs its row, and no other.
    """
    try:
        rows = json.loads(body, parse_float=_exact, parse_int=_whole, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise NotRows(f"it is not whole JSON ({error}); it begins {body[:40]!r}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        said = rows.get("message") if isinstance(rows, dict) else None
        raise NotRows(f"it is JSON, and not a list of rows; it says {said!r}" if said else f"it begins {body[:40]!r}")
    return rows


def check_fields(rows: Sequence[JsonRow]) -> None:
    """NotRows where a row lacks a field that every row has. A row with more fields is a row."""
    for names in map(frozenset, set(map(tuple, rows))):
        if missing := sorted(REQUIRED - names):
            raise NotRows(f"rows lack {', '.join(missing)}; FINRA may have changed its format")


def unknown_fields(rows: Sequence[JsonRow]) -> set[str]:
    """The fields of rows whose meaning is not known here. They are kept in the archive, and read by nothing yet."""
    return {name for names in set(map(tuple, rows)) for name in names if name.lower() not in KNOWN}


def natural_key(row: JsonRow) -> tuple[object, ...]:
    """What tells a row from every other one of its partition."""
    return tuple(map(row.get, NATURAL_KEY))


def distinct(rows: Sequence[JsonRow]) -> Sequence[JsonRow]:
    """The rows of a reply without those whose natural key an earlier one has. Keys must be hashable."""
    first = {natural_key(row): row for row in reversed(rows)}
    return rows if len(first) == len(rows) else list(reversed(first.values()))


def check_place(rows: Sequence[JsonRow], expected: Mapping[str, str]) -> None:
    """NotRows where a row is of another week, tier or summary type than was asked for."""
    for name, value in expected.items():
        found = {str(row[name]) for row in rows} - {value}
        if found:
            raise NotRows(f"rows with {name} {', '.join(sorted(found)[:3])} among those asked for with {value}")


def pack_pages(pages: Sequence[Page]) -> bytes:
    """The payload of a partition. Its bytes hold request ids: two fetches of the same rows are two payloads."""
    told = [
        {"member": _member(page), "rows": page.rows, "total": page.total, "request_id": page.request_id}
        for page in pages
    ]
    return tar_of([(REQUESTS, json.dumps(told, indent=1).encode()), *((_member(page), page.body) for page in pages)])


def unpack_pages(content: bytes) -> Iterator[bytes]:
    """The bodies of a payload's pages, in their order."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            extracted = archive.extractfile(member)
            if member.name != REQUESTS and extracted is not None:
                yield extracted.read()


def _member(page: Page) -> str:
    return f"{page.query}/{page.offset:06d}.json"


def _exact(text: str) -> Decimal | str:
    """A decimal as written. An exponent, or as many digits, as would fill the memory with zeros make no quantity."""
    number = Decimal(text)
    fits = len(text) <= MOST_DIGITS and number.is_finite() and abs(number.adjusted()) <= MOST_DIGITS
    return number if fits else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else text
