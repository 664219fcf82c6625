"""Pages of FINRA's API in the tests: rows as JSON text, each field as it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.content import Content
from pipeline.finra.payloads import PayloadFormat
from pipeline.finra.sources.api.pages import Packing, Page

KEY = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_2)
ATS = {
    "weekStartDate": '"2025-09-29"',
    "tierIdentifier": '"T2"',
    "summaryTypeCode": '"ATS_W_SMBL_FIRM"',
    "issueSymbolIdentifier": '"BRK.B"',
    "issueName": '"Berkshire"',
    "productTypeCode": '"CTS"',
    "MPID": '"UBSA"',
    "firmCRDNumber": "7654",
    "marketParticipantName": '"UBS ATS"',
    "totalWeeklyShareQuantity": "1234.5",
    "totalWeeklyTradeCount": "17",
    "totalNotionalSum": "99.1234567",
    "lastUpdateDate": '"2025-10-27"',
    "tierDescription": '"NMS Tier 2"',
    "summaryStartDate": '"2025-09-29"',
}
FIRM = {**ATS, "MPID": "null", "summaryTypeCode": '"OTC_W_SMBL_FIRM"'}
TOTAL = {**FIRM, "firmCRDNumber": "null", "marketParticipantName": "null", "summaryTypeCode": '"ATS_W_SMBL"'}

Row = Mapping[str, str]


def text(row: Row) -> str:
    """A row as JSON."""
    return f"{{{','.join(f'{chr(34)}{name}{chr(34)}:{value}' for name, value in row.items())}}}"


def payload(*pages: Sequence[Row]) -> bytes:
    """Pages of one query."""
    return packed(*(f"[{','.join(map(text, page))}]".encode() for page in pages))


def packed(*bodies: bytes) -> bytes:
    """Pages of one query, of a row each as far as their places go."""
    payload = Packing(["ALL"])
    for at, body in enumerate(bodies):
        payload.add(Page("ALL", at, 1, len(bodies), "", body))
    return payload.finish().content


def read(*rows: Row, max_reject_share: float = 1, max_rows: int = 1000) -> Content:
    """Rows of one page."""
    return read_pages(rows, max_reject_share=max_reject_share, max_rows=max_rows)


def read_pages(*pages: Sequence[Row], max_reject_share: float = 1, max_rows: int = 1000) -> Content:
    """Rows page by page."""
    return reader.read(payload(*pages), PayloadFormat.PAGES, KEY, max_reject_share, max_rows)
