"""The download of an archived payload: whole and verified, or not at all."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from pipeline.finra.payloads import PayloadFormat
from pipeline.models import Capture
from pipeline.vintages import archive

SUFFIXES = {PayloadFormat.PSV: ".psv", PayloadFormat.PARTS: ".tar", PayloadFormat.PAGES: ".tar"}


def file_name(capture: Capture) -> str:
    """The name of the downloaded payload: its capture_id without colons, and the suffix of its format."""
    return capture.capture_id.replace(":", "_") + SUFFIXES[PayloadFormat(capture.payload_format)]


def as_download(capture: Capture) -> HttpResponse:
    """The bytes as fetched; ArchiveDamaged when they are not what was captured.

    They are read whole before the first is sent, since the hash is known at the end only.
    """
    content = archive.get(capture.payload_sha256)
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = content_disposition_header(True, file_name(capture)) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response
