"""How a payload is read: from its first line, or by its difference from what the newest capture of its partition holds.

For the latter the canonical rows of each partition's newest capture are kept beside its payload. They can be lost without
harm: then the payload is read whole.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from pipeline import row_versions as vintages
from pipeline.calendar import PartitionKey
from pipeline.models import Capture
from pipeline.parsed import Parsed
from pipeline.parsing import PARSER_VERSION, parse
from pipeline.rereading import Earlier, reread
from pipeline.sources.base import Payload, PayloadFormat
from pipeline.vintages import archive
from pipeline.vintages.archive import ArchiveDamaged, Shelf


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


@dataclass(frozen=True, slots=True)
class Difference:
    """The canonical rows that a payload has not any more, and those that it has and the capture held has not.

    `in_common` tells that one is from FINRA's API and the other from its web file: then what only the API has (product
    type, CRD number, notional) is blank in both.
    """

    gone: list[str]
    fresh: list[str]
    in_common: bool


def difference(held: Capture, parsed: Parsed, *, is_api: bool) -> Difference:
    """How the rows of a payload differ from a capture's. ArchiveDamaged and UnreadablePayload as `canonical_lines`."""
    if parsed.gone is not None:
        return Difference(parsed.gone.canonical(), parsed.rows.canonical(), in_common=False)
    before, after = canonical_lines(held), lines_of_canonical(parsed.canonical)
    if in_common := PayloadFormat(held.payload_format).is_api is not is_api:
        before, after = list(map(in_common_columns, before)), list(map(in_common_columns, after))
    were, are = Counter(before), Counter(after)
    return Difference(list((were - are).elements()), list((are - were).elements()), in_common)


def in_common_columns(line: str) -> str:
    """A canonical row in the columns that the web file has, too."""
    symbol, issue, mpid, _crd, firm, _product_type, micros, trades, _notional, updated = line.split("|")
    return f"{symbol}|{issue}|{mpid}||{firm}||{micros}|{trades}||{updated}"


def canonical_lines(capture: Capture) -> list[str]:
    """The canonical rows of a capture: kept beside its payload, or from the ledger, or from its payload while it waits.

    ArchiveDamaged and UnreadablePayload for a payload that cannot be read, of a capture whose rows are not stored.
    """
    with suppress(ArchiveDamaged):
        return lines_of_canonical(archive.get(capture.content_hash, Shelf.READINGS))
    if capture.normalized_at is not None:
        return vintages.canonical_lines(capture)
    return lines_of_canonical(read_archived(capture, capture.partition.key).canonical)


def lines_of_canonical(text: bytes) -> list[str]:
    """The lines of canonical text."""
    return text.decode().split("\n")[:-1]


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
        shares_non_ats=Decimal(held.shares_non_ats or 0),
        trades=held.trades,
    )
