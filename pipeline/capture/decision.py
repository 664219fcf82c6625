"""The decision: whether a fetched payload is a replay, a first capture, a restatement ... Without database and clock.

In this order: forced; the same payload hash; the same content hash (row order, formatting); the same in the columns that
both sources have; first capture; otherwise a restatement. A first capture and a restatement have to be plausible, too
(`pipeline.capture.plausibility`). `lastUpdateDate` explains, and never overrules a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from pipeline.capture.vintage import Vintage
from pipeline.checkpoints import checkpoints
from pipeline.models import Capture
from pipeline.vintages.compare import Changes, Counts

SHORT = 8


class DecisionKind(StrEnum):
    """The decision on a payload."""

    FIRST = "FIRST"
    REPLAY = "REPLAY"
    RESTATEMENT = "RESTATEMENT"
    FORCED = "FORCED"
    EVIDENCE = "EVIDENCE"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Decision:
    """The kind, a reason for a person, and lastUpdateDate's opinion: newer, equal, older, unknown.

    `seen` are the captures of other weeks that the payload was compared with; None where it was compared with none.
    """

    kind: DecisionKind
    reason: str
    opinion: str = "unknown"
    seen: frozenset[int] | None = None

    def sentence(self, counts: Counts) -> str:
        """The reason, completed with the counts: `content changed (...): +200 rows, 35 changed, 2 gone`."""
        if self.kind is DecisionKind.FIRST:
            return self.reason
        differences = f"+{counts.added:,} rows, {counts.changed:,} changed, {counts.removed:,} gone"
        return f"{self.reason}: {differences}; lastUpdateDate {self.opinion}"

    def as_evidence(self, held: Capture) -> Decision:
        """What a replay becomes where the archive has lost the payload that is held: these bytes show the same rows."""
        why = f"the archive has lost the payload of version {held.version}; the source has the same rows in other bytes"
        return replace(self, kind=DecisionKind.EVIDENCE, reason=why)

    def refused(self, why: str) -> Decision:
        """The refusal that the decision becomes."""
        return replace(self, kind=DecisionKind.REFUSED, reason=why)


SAME_BYTES = "unchanged: the same bytes as captured"
SAME_ROWS = "unchanged: the same rows in other bytes (order or formatting)"
SAME_WHERE_COMPARABLE = (
    "unchanged: the same rows in the columns that both sources have; only productTypeCode, firmCRDNumber and "
    "totalNotionalSum, which FINRA's web file lacks, differ (force it to take what is offered)"
)


@checkpoints("decide")
def decide(held: Capture | None, offered: Vintage, *, force: bool) -> Decision:
    """The decision on a payload with other bytes than those held; `held` is None where the partition has no capture."""
    said = opinion(held.last_update_date if held else None, offered.content.newest_update)
    compared = _compared(held, offered)
    if force:
        return Decision(DecisionKind.FORCED, f"forced; {compared}", said)
    if held is None:
        return Decision(DecisionKind.FIRST, compared, said)
    if held.content_hash == offered.content.content_hash:
        return Decision(DecisionKind.REPLAY, SAME_ROWS, said)
    if offered.in_common is not None and not differing(offered.in_common):
        return Decision(DecisionKind.REPLAY, SAME_WHERE_COMPARABLE, said)
    return Decision(DecisionKind.RESTATEMENT, compared, said)


def opinion(held: date | None, offered: date | None) -> str:
    """The source's newest lastUpdateDate against the stored one: newer, equal, older or unknown."""
    if held is None or offered is None:
        return "unknown"
    if offered == held:
        return "equal"
    return "newer" if offered > held else "older"


def differing(changes: Changes) -> int:
    """How many rows of a vintage the other one lacks, before or after: the larger number."""
    return changes.changed + max(changes.added, changes.removed)


def _compared(held: Capture | None, offered: Vintage) -> str:
    content = offered.content
    if held is None:
        return f"first capture: {content.rows_kept:,} rows"
    if held.content_hash == content.content_hash:
        return f"content the same ({held.content_hash[:SHORT]})"
    changed = f"content changed ({held.content_hash[:SHORT]} -> {content.content_hash[:SHORT]})"
    if offered.in_common is None:
        return changed
    number = differing(offered.in_common)
    return f"{changed}, from a source with other columns: {number:,} rows differ in those that both have"
