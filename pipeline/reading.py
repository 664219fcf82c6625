"""How a payload is read: from its first line, or by its difference from what the newest capture of its partition holds.

For the latter the canonical rows of each partition's newest capture are kept beside its payload. They can be lost without
harm: then the payload is read whole.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

from django.conf import settings

from pipeline import archive
from pipeline.archive import ArchiveDamaged, Shelf
from pipeline.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.parsed import Parsed
from pipeline.parsing import PARSER_VERSION, UnreadablePayload, parse
from pipeline.rereading import Earlier, reread
from pipeline.sources.base import Payload, PayloadFormat


def read(content: bytes, payload_format: str, key: PartitionKey) -> Parsed:
    """Parse a payload whole, under the configured limits. Raises UnreadablePayload."""
    limits = settings.MARKETSPINE_MAX_REJECT_SHARE, settings.MARKETSPINE_MAX_ROWS
    return parse(content, PayloadFormat(payload_format), key.tier, *limits)


def read_archived(capture: Capture, key: PartitionKey) -> Parsed:
    """Parse a capture's archived payload. Raises ArchiveDamaged and UnreadablePayload."""
    return read(archive.get(capture.payload_sha256), capture.payload_format, key)


def read_beside(held: Capture | None, payload: Payload, key: PartitionKey) -> Parsed:
    """Parse a payload, by its difference from the capture held where that tells all. Raises UnreadablePayload."""
    earlier = None if payload.format.is_api else _earlier(held)
    by_difference = reread(earlier, payload.content, payload.format, key.tier) if earlier else None
    return by_difference or read(payload.content, payload.format, key)


def differing(held: Capture, payload: Payload, parsed: Parsed) -> int | None:
    """How many rows of a payload differ from a capture's in the columns that both have.

    None where both have the same columns, or where the archive has lost what the capture was made of: then the content
    hashes alone decide.
    """
    if PayloadFormat(held.payload_format).is_api is payload.format.is_api:
        return None
    try:
        before = read_archived(held, held.partition.key).rows.common()
    except (ArchiveDamaged, UnreadablePayload):
        return None
    after = parsed.rows.common()
    return max((before - after).total(), (after - before).total())


def keep(payload: Payload, parsed: Parsed) -> None:
    """Archive a payload, and its canonical rows for as long as they are the partition's newest."""
    archive.put(payload.content, payload.sha256)
    archive.put(parsed.canonical, parsed.content_hash, Shelf.READINGS)


def forget(capture: Capture) -> None:
    """Remove the canonical rows of a capture that is not the newest of its partition any more."""
    with suppress(OSError):  # a file too many is no reason to call a capture that is made a failure
        archive.discard(capture.content_hash, Shelf.READINGS)


def _earlier(held: Capture | None) -> Earlier | None:
    """The newest capture's payload and canonical rows; None where a difference from them would not tell all."""
    if held is None or held.normalized_at is None or held.rows_rejected or held.parser_version != PARSER_VERSION:
        return None
    if PayloadFormat(held.payload_format).is_api:  # its lines are not the web file's
        return None
    try:
        content = archive.get(held.payload_sha256)
        canonical = archive.get(held.content_hash, Shelf.READINGS)
    except ArchiveDamaged:
        return None
    return Earlier(
        content=content,
        format=PayloadFormat(held.payload_format),
        canonical=canonical,
        rows_non_ats=held.rows_non_ats,
        shares=Decimal(held.shares or 0),
        trades=held.trades,
    )
