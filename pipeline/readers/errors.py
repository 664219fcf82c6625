"""Questions without an answer: a kind for a machine, a sentence for a person, and facts that help."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

BAD_REQUEST, NOT_FOUND, GONE, UNAVAILABLE, NOT_IMPLEMENTED = 400, 404, 410, 503, 501


class ErrorKind(StrEnum):
    """The kinds of errors. The value is the problem type of the API (RFC 9457)."""

    UNKNOWN_PARAMETER = "unknown-parameter"
    INVALID_PARAMETER = "invalid-parameter"
    SELECTOR_CONFLICT = "selector-conflict"
    NOT_A_FRIDAY = "not-a-friday"
    AS_OF_IN_THE_FUTURE = "as-of-in-the-future"
    POSITION_IN_THE_FUTURE = "position-in-the-future"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_SYMBOL = "unknown-symbol"
    UNKNOWN_VENUE = "unknown-venue"
    UNKNOWN_CAPTURE = "unknown-capture"
    UNKNOWN_RELEASE = "unknown-release"
    UNKNOWN_FILE = "unknown-file"
    NOT_YET_DUE = "not-yet-due"
    NOT_CAPTURED = "not-captured"
    NOT_KNOWN_YET = "not-known-yet"
    VINTAGE_PRUNED = "vintage-pruned"
    DAMAGED = "damaged"
    STORAGE_AWAY = "storage-away"
    MISSING_PACKAGE = "missing-package"


STATUS = {
    ErrorKind.UNKNOWN_PARAMETER: BAD_REQUEST,
    ErrorKind.INVALID_PARAMETER: BAD_REQUEST,
    ErrorKind.SELECTOR_CONFLICT: BAD_REQUEST,
    ErrorKind.NOT_A_FRIDAY: BAD_REQUEST,
    ErrorKind.AS_OF_IN_THE_FUTURE: BAD_REQUEST,
    ErrorKind.POSITION_IN_THE_FUTURE: BAD_REQUEST,
    ErrorKind.UNKNOWN_FIELD: BAD_REQUEST,
    ErrorKind.UNKNOWN_SYMBOL: NOT_FOUND,
    ErrorKind.UNKNOWN_VENUE: NOT_FOUND,
    ErrorKind.UNKNOWN_CAPTURE: NOT_FOUND,
    ErrorKind.UNKNOWN_RELEASE: NOT_FOUND,
    ErrorKind.UNKNOWN_FILE: NOT_FOUND,
    ErrorKind.NOT_YET_DUE: NOT_FOUND,
    ErrorKind.NOT_CAPTURED: NOT_FOUND,
    ErrorKind.NOT_KNOWN_YET: NOT_FOUND,
    ErrorKind.VINTAGE_PRUNED: GONE,
    ErrorKind.DAMAGED: UNAVAILABLE,
    ErrorKind.STORAGE_AWAY: UNAVAILABLE,
    ErrorKind.MISSING_PACKAGE: NOT_IMPLEMENTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts for the reader; those that do not apply are None or empty."""

    did_you_mean: str | None = None
    allowed: tuple[str, ...] = ()
    nearest_fridays: tuple[date, ...] = ()
    due_date: date | None = None
    first_known_at: datetime | None = None
    capture_ids: tuple[str, ...] = ()


class ReadersError(Exception):
    """A question without an answer: `kind` is for a machine, `detail` for a person, `parameter` the one at fault."""

    def __init__(self, kind: ErrorKind, detail: str, parameter: str | None = None, facts: Facts | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.parameter, self.facts = kind, detail, parameter, facts or Facts()

    @property
    def status(self) -> int:
        """The HTTP status of the error."""
        return STATUS[self.kind]
