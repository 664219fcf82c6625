"""A capture's figures, for a person: what `show_capture` prints."""

from __future__ import annotations

from pipeline.models import Capture

FIELDS = (
    "version",
    "kind",
    "cause",
    "reason",
    "requested_by",
    "request_reason",
    "captured_on",
    "captured_at",
    "normalized_at",
    "position",
    "source",
    "source_opinion",
    "last_update_date",
    "payload_uri",
    "payload_format",
    "payload_bytes",
    "payload_sha256",
    "parser_version",
    "content_hash",
    "vintage_path",
    "vintage_bytes",
    "vintage_sha256",
    "rows_in",
    "rows_kept",
    "rows_rejected",
    "rows_non_ats",
    "shares",
    "trades",
    "rows_added",
    "rows_changed",
    "rows_removed",
    "rows_unchanged",
    "pinned",
)
OF_A_MANIFEST = ("stage", "rows_in", "rows_kept", "rows_rejected", "shares", "trades", "checksum", "duration")


def figures(capture: Capture) -> dict[str, object]:
    """The figures by their names in the ledger; `manifests` and `rejects` are lists of such. Sums are exact decimals."""
    return {
        "capture_id": capture.capture_id,
        "week_ending": capture.partition.week_ending,
        "tier": capture.partition.tier,
        "is_latest": capture.partition.latest_id == capture.pk,
        **{name: getattr(capture, name) for name in FIELDS},
        "captured_at": capture.captured_at.isoformat(),
        "normalized_at": capture.normalized_at.isoformat() if capture.normalized_at else None,
        "annuls": capture.annuls.capture_id if capture.annuls else None,
        "annulled_by": capture.annulment.capture_id if capture.annulment else None,
        "manifests": list(capture.manifests.order_by("pk").values(*OF_A_MANIFEST)),
        "rejects": list(capture.rejects.values("part", "line", "reason", "text")),
    }
