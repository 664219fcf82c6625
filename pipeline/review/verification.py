"""A capture's figures, and the proof that its payload, rows and vintage file are still what it says."""

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


class NoSuchCapture(Exception):
    """The capture that was asked for is not there; the message says which are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check, and whether it holds."""

    what: str
    holds: bool


def find_capture(capture_id: str) -> Capture:
    """The capture with this id; NoSuchCapture names those nearest to it."""
    capture = Capture.objects.select_related("partition").filter(capture_id=capture_id).first()
    if capture is not None:
        return capture
    stem = ":".join(capture_id.split(":")[:3])
    known = list(Capture.objects.filter(capture_id__startswith=stem).values_list("capture_id", flat=True)[:8])
    hint = f"; of that partition there are: {', '.join(known)}" if known and stem else ""
    raise NoSuchCapture(f"there is no capture {capture_id!r}{hint}")


def describe(capture: Capture) -> dict[str, object]:
    """A capture's figures; sums are exact decimals, as text."""
    return {
        "capture_id": capture.capture_id,
        "week_ending": capture.partition.week_ending,
        "tier": capture.partition.tier,
        "version": capture.version,
        "is_latest": capture.partition.latest_id == capture.pk,
        "kind": capture.kind,
        "reason": capture.reason,
        "requested_by": capture.requested_by,
        "request_reason": capture.request_reason,
        "captured_on": capture.captured_on,
        "captured_at": capture.captured_at.isoformat(),
        "normalized_at": capture.normalized_at.isoformat() if capture.normalized_at else None,
        "source": capture.source,
        "payload_uri": capture.payload_uri,
        "payload_format": capture.payload_format,
        "payload_bytes": capture.payload_bytes,
        "payload_sha256": capture.payload_sha256,
        "content_hash": capture.content_hash,
        "parser_version": capture.parser_version,
        "cause": capture.cause,
        "annuls": capture.annuls.capture_id if capture.annuls else None,
        "annulled_by": capture.annulment.capture_id if capture.annulment else None,
        "position": capture.position,
        "vintage_path": capture.vintage_path,
        "vintage_bytes": capture.vintage_bytes,
        "vintage_sha256": capture.vintage_sha256,
        "last_update_date": capture.last_update_date,
        "source_opinion": capture.source_opinion,
        "rows_in": capture.rows_in,
        "rows_kept": capture.rows_kept,
        "rows_rejected": capture.rows_rejected,
        "rows_non_ats": capture.rows_non_ats,
        "shares": capture.shares,
        "trades": capture.trades,
        "rows_added": capture.rows_added,
        "rows_changed": capture.rows_changed,
        "rows_removed": capture.rows_removed,
        "rows_unchanged": capture.rows_unchanged,
        "pinned": capture.pinned,
        "manifests": list(
            capture.manifests.order_by("pk").values(
                "stage", "rows_in", "rows_kept", "rows_rejected", "shares", "trades", "checksum", "duration"
            )
        ),
        "rejects": list(capture.rejects.values("part", "line", "reason", "text")),
    }


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
