"""Rejects: lines that are no rows, with their reasons. Every line of a payload is a row or a reject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.finra.plain_text import storable

LONGEST_REJECT = 1000  # characters: three times what the longest of FINRA's lines has


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


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is not stored: the part it stood in, its number (the header is 1), why, and its text."""

    part: str
    line: int
    reason: RejectReason
    text: str

    def __post_init__(self) -> None:
        """Cut the text: a line may be 20 MB long, and the payload has all of it."""
        object.__setattr__(self, "text", storable(self.text, LONGEST_REJECT))
