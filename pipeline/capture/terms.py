"""The terms of a run and the provenance of a payload, which travel with the payload until it is a capture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pipeline.finra.payloads import Payload
from pipeline.models import Capture, DataKind, Run


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a run: its day, whether revision detection is overruled, for whom and why."""

    run_date: date
    run: Run | None = None
    force: bool = False
    normalize: bool = True
    requested_by: str = ""
    request_reason: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance of a payload, which its capture records.

    `kind` says what it holds, None where the payload was captured before.
    """

    source: str
    payload_uri: str
    payload_format: str
    payload_sha256: str
    payload_bytes: int
    source_updated_at: datetime | None
    kind: DataKind | None = None

    @classmethod
    def of_payload(cls, payload: Payload, source: str) -> Provenance:
        """The provenance of a payload just fetched."""
        kind = DataKind.SAMPLES if payload.is_sample else DataKind.REAL
        return cls(source, payload.uri, payload.format, payload.sha256, payload.size, payload.updated_at, kind)

    @classmethod
    def of_capture(cls, capture: Capture) -> Provenance:
        """The provenance of a payload that was captured before."""
        return cls(
            capture.source,
            capture.payload_uri,
            capture.payload_format,
            capture.payload_sha256,
            capture.payload_bytes,
            capture.source_updated_at,
        )
