"""The interface of sources, and their errors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload

MOST_ROWS = 500_000  # of a partition; the largest of FINRA's has 168,000 (finra.md, "Rows")


class SourceError(Exception):
    """A source could not deliver; the message says what was wrong, where, and what to do."""


class NotPublished(SourceError):
    """The source has nothing for this partition (yet)."""


class UnusableReply(SourceError):
    """The reply is not the data asked for. `content` is all of it, for the archive: perhaps the only copy left."""

    def __init__(self, message: str, content: bytes) -> None:
        super().__init__(message)
        self.content = content


class CannotBeAsked(SourceError):
    """The source has this partition, and cannot say whether it moved: only a download would tell."""


class TransientSourceError(SourceError):
    """Trying again may help: a time-out, a reset, a 5xx. `after` is how long the source asked to wait, in seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class UnsafeSource(SourceError):
    """The file or address is refused: outside the root, not a regular file, too large, not FINRA's ..."""


def too_many_rows(most: int) -> str:
    """The message about a payload with too many lines, with the remedy."""
    return f"more than {most:,} lines: if that is right, raise MARKETSPINE_MAX_ROWS"


class MixedData(SourceError):
    """Samples where only FINRA's data is taken, or FINRA's data where only samples are."""


class Source(Protocol):
    """An origin of payloads. Neither method may be called inside a database transaction.

    A source that `is_near` answers within a moment, or not at all: the ledger's connection is kept meanwhile.
    """

    name: str
    is_near: bool

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """The keys that the source can deliver now."""
        ...

    def fetch(self, key: PartitionKey) -> Payload:
        """The partition's payload.

        Raises NotPublished when there is none, TransientSourceError when another try may help, SourceError otherwise.
        """
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a partition at the source: rows updated after a day, rows updated on it, rows in all."""

    newer: int
    same: int
    rows: int


@runtime_checkable
class Asking(Source, Protocol):
    """A source that can be probed: asked cheaply whether a partition moved."""

    def standing(self, key: PartitionKey, since: date, *, totals_too: bool) -> Standing:
        """How many of its rows have a later lastUpdateDate than `since`, how many just that, and how many there are.

        Of its rows by symbol and firm, and with `totals_too` of its totals by symbol as well.
        Raises NotPublished when the source has nothing of it, CannotBeAsked when only a download would tell.
        """
        ...
