"""A payload's content: of one just fetched, or of one from the archive."""

from __future__ import annotations

import sys

from django.conf import settings

from pipeline.checkpoints import checkpoints
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.content import Content, UnreadablePayload
from pipeline.finra.payloads import Payload, PayloadFormat
from pipeline.models import Capture
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged

ANY_SHARE, ANY_NUMBER = 1.0, sys.maxsize  # of lines that may be rejected, of lines


def read(content: bytes, payload_format: str, key: PartitionKey) -> Content:
    """Read the content of a payload that was captured: no limit that was set since keeps it from its rows.

    UnreadablePayload.
    """
    return reader.read(content, PayloadFormat(payload_format), key, ANY_SHARE, ANY_NUMBER)


@checkpoints("read")
def read_fetched(payload: Payload, key: PartitionKey) -> Content:
    """Read the content of a payload that was just fetched, under the limits of the settings. UnreadablePayload."""
    return reader.read_fetched(payload, key, settings.MARKETSPINE_MAX_REJECT_SHARE, settings.MARKETSPINE_MAX_ROWS)


def read_archived(capture: Capture) -> Content:
    """Read the content of a capture's archived payload. ArchiveDamaged also where the parser does not take it any more."""
    content = archive.get(capture.payload_sha256)
    try:
        return read(content, capture.payload_format, capture.partition.key)
    except UnreadablePayload as error:
        raise ArchiveDamaged(str(error)) from error
