"""Misbehaviour on demand: which replies are spoilt, and how.

A fault is added before it happens; requests that fit it let `after` of them pass and spoil the next `times`. Some change
what is selected before it is paged, the others the finished reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

from tests.fake_finra.exchange import Asked


class Kind(StrEnum):
    """The ways in which the service can misbehave."""

    # No reply, or one that does not come whole.
    RESET_AT_ONCE = "reset-at-once"
    CLOSED_AT_ONCE = "closed-at-once"
    RESET_MID_BODY = "reset-mid-body"
    CLOSED_MID_BODY = "closed-mid-body"
    SLOW_BYTES = "slow-bytes"  # `seconds` between pieces
    LATE = "late"  # `seconds` before the reply

    # Another reply.
    STATUS = "status"  # `status`, with the HTML page of an edge server
    STORM = "storm"  # 429, with `retry_after`
    UNAUTHORIZED = "unauthorized"
    REDIRECT = "redirect"
    HTML_PAGE = "html-page"  # with status 200
    ERROR_IN_200 = "error-in-200"
    EMPTY_BODY = "empty-body"  # with status 200
    NO_CONTENT = "no-content"
    EMPTY_LIST = "empty-list"
    OBJECT = "object"  # in place of a list
    OVERSIZED = "oversized"  # `amount` bytes

    # The reply, disguised or damaged.
    CSV = "csv"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    TRUNCATED_JSON = "truncated-json"
    INVALID_UTF8 = "invalid-utf8"
    GARBLED_GZIP = "garbled-gzip"

    # Headers.
    TOTAL_WRONG = "total-wrong"  # by `amount`
    TOTAL_MISSING = "total-missing"
    TOTAL_GARBAGE = "total-garbage"
    OFFSET_WRONG = "offset-wrong"
    REQUEST_ID_MISSING = "request-id-missing"

    # Rows.
    UNKNOWN_FIELD = "unknown-field"
    MISSING_FIELD = "missing-field"
    WRONG_TIER = "wrong-tier"
    WRONG_WEEK = "wrong-week"
    WRONG_SUMMARY_TYPE = "wrong-summary-type"
    NULL_SHARES = "null-shares"
    NEGATIVE_SHARES = "negative-shares"
    SHARES_AS_TEXT = "shares-as-text"
    NAN_SHARES = "nan-shares"
    VALUE = "value"  # `figure`, as JSON, in place of the first value of the field `named`
    ROW_TWICE = "row-twice"  # the first row comes twice in a reply, and its total counts both
    BAD_DATE = "bad-date"
    REPEATED_ROW = "repeated-row"

    # Paging.
    DUPLICATED_PAGE = "duplicated-page"  # the page before the one asked for
    SHORT_PAGE = "short-page"  # lawful: `amount` rows, though more would fit
    ROW_ADDED = "row-added"  # the total moves
    ROW_REMOVED = "row-removed"
    ROWS_SHIFTED = "rows-shifted"  # one added in front, the last gone: a page repeats a row, the total stays
    ROWS_SLIPPED = "rows-slipped"  # the first gone, one added behind: a row is never seen, the total stays
    NOTHING = "nothing"  # as if it were not published
    FILTERS_IGNORED = "filters-ignored"  # as on a GET

    # Tokens.
    TOKEN_WITHOUT_EXPIRY = "token-without-expiry"
    TOKEN_USELESS = "token-useless"  # issued, and refused when it is used


@dataclass
class Fault:
    """A misbehaviour to come. `times` None is for ever.

    It fits requests whose path contains `path` (any case), whose offset is at least `offset` and whose EQUAL filters
    have the values of `equal`.
    """

    kind: Kind
    times: int | None = 1
    after: int = 0
    path: str = "/data/"
    offset: int = 0
    equal: Mapping[str, str] = field(default_factory=dict)
    status: int = 503
    seconds: float = 0.05
    amount: int = 1
    retry_after: str | None = None
    figure: str = "0"
    named: str = "totalWeeklyShareQuantity"
    spoilt: int = 0
    seen: int = 0

    def fits(self, asked: Asked) -> bool:
        """Whether it is meant for the request."""
        return (
            self.path.lower() in asked.path.lower()
            and asked.offset >= self.offset
            and all(asked.equal.get(name) == value for name, value in self.equal.items())
        )

    def strikes(self) -> bool:
        """Count a request that fits, and say whether this one is spoilt."""
        self.seen += 1
        if self.seen <= self.after or self.spoilt == self.times:
            return False
        self.spoilt += 1
        return True


class Faults:
    """The faults in force. Safe for threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force; it counts what it has `spoilt`."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()

    def striking(self, asked: Asked) -> list[Fault]:
        """The faults that spoil this request, in the order in which they were added."""
        with self._lock:
            return [fault for fault in self._faults if fault.fits(asked) and fault.strikes()]
