"""The decision: what a fetched payload is to the partition it was fetched for. Pure: no database, no clock.

In this order: forced; the same payload hash; the same content hash (row order, formatting); the same in the columns that
both sources have; first capture; otherwise a restatement. A first capture and a restatement have to be plausible, too
(`pipeline.plausibility`). `lastUpdateDate` explains, and never overrules a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Protocol

SHORT = 8


class Verdict(StrEnum):
    """What to do with a payload."""

    FIRST = "FIRST"
    REPLAY = "REPLAY"
    RESTATEMENT = "RESTATEMENT"
    FORCED = "FORCED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Held:
    """What the newest capture of the partition holds."""

    payload_sha256: str
    content_hash: str
    last_update_date: date | None


@dataclass(frozen=True, slots=True)
class Offered:
    """What a payload brings, once it is parsed.

    `differing` counts the rows that differ in the columns that both have, where the capture held is from a source that has
    other columns (the web file, FINRA's API); None where both have the same.
    """

    payload_sha256: str
    content_hash: str
    rows_kept: int
    last_update_date: date | None
    differing: int | None = None


class Counts(Protocol):
    """How the rows of a vintage differ from those of the vintage before it."""

    @property
    def added(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def removed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, a reason that a person understands, and what lastUpdateDate says: newer, equal, older, unknown.

    `seen` are the captures of other weeks that the payload was compared with; None where it was compared with none.
    """

    verdict: Verdict
    reason: str
    opinion: str = "unknown"
    seen: frozenset[int] | None = None

    def told(self, counts: Counts) -> str:
        """The reason, completed with what the store found: `content changed (...): +200 rows, 35 changed, 2 gone`."""
        if self.verdict is Verdict.FIRST:
            return self.reason
        differences = f"+{counts.added:,} rows, {counts.changed:,} changed, {counts.removed:,} gone"
        return f"{self.reason}: {differences}; lastUpdateDate {self.opinion}"

    def refused(self, why: str) -> Decision:
        """The refusal that the decision becomes."""
        return replace(self, verdict=Verdict.REFUSED, reason=why)


SAME_BYTES = Decision(Verdict.REPLAY, "unchanged: the same bytes as captured")


SAME_WHERE_COMPARABLE = (
    "unchanged: the same rows in the columns that both sources have; only productTypeCode, firmCRDNumber and "
    "totalNotionalSum, which FINRA's web file lacks, differ (force it to take what is offered)"
)


def decide(held: Held | None, offered: Offered, *, force: bool) -> Decision:
    """The decision on a parsed payload. `held` is None when the partition has no capture."""
    said = opinion(held.last_update_date if held else None, offered.last_update_date)
    if force:
        return Decision(Verdict.FORCED, f"forced; {_compared(held, offered)}", said)
    if held and held.payload_sha256 == offered.payload_sha256:
        return SAME_BYTES
    if held and held.content_hash == offered.content_hash:
        return Decision(Verdict.REPLAY, "unchanged: the same rows in other bytes (order or formatting)", said)
    if held and offered.differing == 0:
        return Decision(Verdict.REPLAY, SAME_WHERE_COMPARABLE, said)
    if held is None:
        return Decision(Verdict.FIRST, _compared(held, offered), said)
    return Decision(Verdict.RESTATEMENT, _compared(held, offered), said)


def opinion(held: date | None, offered: date | None) -> str:
    """What the source's newest lastUpdateDate says beside the stored one: newer, equal, older or unknown."""
    if held is None or offered is None:
        return "unknown"
    if offered == held:
        return "equal"
    return "newer" if offered > held else "older"


def _compared(held: Held | None, offered: Offered) -> str:
    if held is None:
        return f"first capture: {offered.rows_kept:,} rows"
    if held.content_hash == offered.content_hash:
        return f"content the same ({held.content_hash[:SHORT]})"
    changed = f"content changed ({held.content_hash[:SHORT]} -> {offered.content_hash[:SHORT]})"
    if offered.differing is None:
        return changed
    return f"{changed}, from a source with other columns: {offered.differing:,} rows differ in those that both have"
