"""The proof that a capture's payload, rows and vintage file are still what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.finra import rows
from pipeline.finra.content import UnreadablePayload
from pipeline.finra.reader import PARSER_VERSION
from pipeline.models import Capture
from pipeline.vintages import archive, payloads, read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.store import VintageDamaged


@dataclass(frozen=True, slots=True)
class Checked:
    """One check, and whether it holds."""

    what: str
    holds: bool


def verify(capture: Capture) -> list[Checked]:
    """Prove that the payload is whole and reads as the captured rows, and that the vintage file has these rows."""
    kept = Capture.objects.with_payload().filter(pk=capture.pk).exists()
    checks = list(_payload_checks(capture)) if kept else [Checked("retention has removed its payload and rows", True)]
    if capture.normalized_at is not None and capture.pruned_at is None:
        checks += _file_checks(capture)
    return checks


def _payload_checks(capture: Capture) -> Iterator[Checked]:
    try:
        content = archive.verified(capture.payload_sha256)
        yield Checked(f"the archived payload is whole ({len(content):,} bytes, SHA-256 as captured)", True)
        read_again = payloads.read(content, capture.payload_format, capture.partition.key)
    except (ArchiveDamaged, UnreadablePayload) as error:
        yield Checked(str(error), False)
        return
    same = read_again.content_hash == capture.content_hash
    if same or capture.parser_version == PARSER_VERSION:
        yield Checked("it reads as the captured rows (content hash)", same)


def _file_checks(capture: Capture) -> Iterator[Checked]:
    """The bytes are what was written, and the rows in them have the content hash: neither follows from the other."""
    try:
        store.verify(capture)
        with read.naming_damage([capture]):
            held = read.of_capture(capture).collect()
    except VintageDamaged as damage:
        yield Checked(str(damage), False)
        return
    yield Checked(f"the vintage file is what was written ({capture.vintage_bytes:,} bytes, SHA-256 as recorded)", True)
    same = (rows.content_hash(held), held.height) == (capture.content_hash, capture.rows_kept)
    shares, trades = rows.without_zeros(rows.shares_of(held)), held["trades"].sum()
    yield Checked(
        f"it has the captured rows (content hash): {held.height:,} rows, {shares} shares, {trades:,} trades", same
    )
