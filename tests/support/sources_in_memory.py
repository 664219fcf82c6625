"""A source whose publications a test writes itself, and FINRA's web format to write them in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Part, PartName, Payload, pack
from pipeline.finra.sources.base import NotPublished

HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID"
    "|totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate"
)


def psv(*lines: str) -> bytes:
    """A file of FINRA's web format."""
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def row(
    symbol: str,
    mpid: str,
    shares: str | int,
    trades: str | int = 1,
    *,
    issue: str = "",
    name: str = "",
    tier: Tier = Tier.OTC,
    updated: str = "2025-12-15",
) -> str:
    """One line; for a non-ATS firm `mpid` is empty and `name` names it."""
    venue = name or f"{mpid} NAME"
    return f"{tier.description}|{symbol}|{issue or f'{symbol} Inc'}|{venue}|{mpid}|{shares}|{trades}|{updated}"


class MemorySource:
    """A real Source over bytes in memory."""

    name = "memory"
    is_near = False

    def __init__(self) -> None:
        self.payloads: dict[PartitionKey, Payload] = {}

    def publish(self, key: PartitionKey, ats: bytes | None, non_ats: bytes | None = None) -> None:
        """Let `key` have this payload from now on."""
        parts = ((PartName.ATS, ats), (PartName.NON_ATS, non_ats))
        content, payload_format = pack(tuple(Part(name, part) for name, part in parts if part is not None))
        self.payloads[key] = Payload((content,), payload_format, f"memory:{key}", datetime.now(UTC))

    def publish_rows(self, key: PartitionKey, lines: Iterable[str]) -> None:
        """Let `key` have a file of these lines from now on."""
        self.publish(key, psv(*lines))

    def withdraw(self, key: PartitionKey) -> None:
        """Let `key` have nothing from now on."""
        del self.payloads[key]

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Those published."""
        return {key for key in keys if key in self.payloads}

    def fetch(self, key: PartitionKey) -> Payload:
        """The payload published last; NotPublished when there is none."""
        if key not in self.payloads:
            raise NotPublished(f"{key}: not published")
        return self.payloads[key]
