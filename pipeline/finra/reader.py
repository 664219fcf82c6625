"""A payload of any format to its content. `PARSER_VERSION` is raised with every change that may read one differently."""

from __future__ import annotations

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content
from pipeline.finra.formats import api_pages, web_file
from pipeline.finra.payloads import Payload, PayloadFormat
from pipeline.finra.sources.base import MOST_ROWS

PARSER_VERSION = 1


def read(
    content: bytes, payload_format: PayloadFormat, key: PartitionKey, max_reject_share: float, max_rows: int = MOST_ROWS
) -> Content:
    """Read the payload of a partition.

    Raises UnreadablePayload for what is not FINRA's format, has more than `max_rows` lines, or has more than
    `max_reject_share` (0-1) of its lines rejected.
    """
    if payload_format.is_api:
        return api_pages.read(content, key, max_reject_share, max_rows)
    return web_file.read(content, payload_format, key, max_reject_share, max_rows)


def read_fetched(payload: Payload, key: PartitionKey, max_reject_share: float, max_rows: int = MOST_ROWS) -> Content:
    """As `read`, of a payload that a source has taken apart already: into files, or into pages that are decoded."""
    if payload.decoded:
        return api_pages.read_decoded(payload.decoded, lambda: payload.content, key, max_reject_share, max_rows)
    if payload.parts:
        return web_file.read_parts(payload.parts, key, max_reject_share, max_rows)
    return read(payload.content, payload.format, key, max_reject_share, max_rows)
