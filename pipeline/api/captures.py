"""One capture: its entry in the ledger, and its vintage file, byte for byte."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from pipeline import readers
from pipeline.api import requests
from pipeline.api.answers import Asked, reply
from pipeline.api.base import UNCHANGED_FOR_EVER, Endpoint, is_held, marked, not_modified
from pipeline.api.descriptions import Description, of_capture
from pipeline.api.forms import JSON, PARQUET, form_accepted
from pipeline.api.problems import Problem
from pipeline.api.ranges import as_part, part_asked
from pipeline.models import Capture, data_kinds


class OneCapture(Endpoint):
    """A capture. Its file exists already, so that a download counts as a read."""

    def described(self) -> Description:
        """For the OpenAPI document."""
        return of_capture((JSON, PARQUET))

    def get(self, request: Request, capture: str) -> HttpResponseBase:
        """The file for Parquet, otherwise the capture's line in the list of captures."""
        http = request._request
        asked = requests.read(http.GET, {}, ("format", "fields"), form_accepted(http))
        if asked.form is PARQUET:
            return _file(http, capture)
        if asked.form is not JSON:
            raise Problem(
                "not-acceptable", "A capture is JSON, or its Parquet file.", facts={"forms": ["json", "parquet"]}
            )
        result = readers.captures(capture=capture)
        if result.total == 0:
            raise _unknown(capture)
        return reply(
            http, Asked(http.path, asked, forms=(PARQUET,)), result.narrowed(asked.fields) if asked.fields else result
        )


def _file(http: HttpRequest, capture_id: str) -> HttpResponse:
    """The vintage file. Its ETag is its own hash: a rebuilt file may have other bytes with the same rows."""
    capture = Capture.objects.filter(capture_id=capture_id).first()
    if capture is None:
        raise _unknown(capture_id)
    if capture.vintage_sha256 and not capture.pruned_at and is_held(http, capture.vintage_sha256):
        return not_modified(capture.vintage_sha256, UNCHANGED_FOR_EVER)
    content = readers.vintage_file(capture_id)
    part = part_asked(http, len(content), capture.vintage_sha256)
    shown = content[part.first : part.last + 1] if part else content
    response = HttpResponse(shown, content_type=PARQUET.content_type)
    as_part(response, part)
    name = data_kinds.file_name(f"{capture_id.replace(':', '_')}.{PARQUET.suffix}")
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Row-Count"] = str(capture.rows_kept)
    return marked(response, capture.vintage_sha256, UNCHANGED_FOR_EVER)


def _unknown(capture_id: str) -> Problem:
    return Problem("unknown-capture", f"There is no capture {capture_id!r}.")
