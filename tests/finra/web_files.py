"""Reading files of FINRA's web format in the tests."""

from __future__ import annotations

from datetime import date

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.content import Content
from pipeline.finra.payloads import Part, PartName, PayloadFormat, pack
from pipeline.finra.rows import canonical_text
from tests.support.sources_in_memory import psv

WEEK = date(2025, 11, 14)


def read(content: bytes, tier: Tier = Tier.OTC, max_reject_share: float = 1.0) -> Content:
    """A file of ATS venues."""
    return reader.read(content, PayloadFormat.PSV, PartitionKey(WEEK, tier), max_reject_share)


def read_parts(ats: bytes, non_ats: bytes, max_reject_share: float = 1.0) -> Content:
    """A file of ATS venues and one of firms."""
    packed, packed_format = pack((Part(PartName.ATS, ats), Part(PartName.NON_ATS, non_ats)))
    return reader.read(packed, packed_format, PartitionKey(WEEK, Tier.OTC), max_reject_share)


def read_firms(*lines: str) -> Content:
    """Lines of firms, beside a file of ATS venues that has none."""
    return read_parts(psv(), psv(*lines))


def texts(content: Content) -> list[str]:
    """The canonical text of each row, in the order of the frame."""
    return bytes(canonical_text(content.frame)).decode().split("\n")[:-1]


def places(content: Content) -> list[tuple[str, int, str]]:
    """Where the rejects stand, and why they are some."""
    return [(reject.part, reject.line, reject.reason) for reject in content.rejects]
