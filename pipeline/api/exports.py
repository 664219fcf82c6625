"""Releases for download: their list, and their files, which never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from pipeline.api import requests
from pipeline.api.about import told
from pipeline.api.base import UNCHANGED_FOR_EVER, Endpoint, is_held, marked, not_modified
from pipeline.api.cursors import digest
from pipeline.api.datasets import ROOT
from pipeline.api.descriptions import Description, of_document, of_file
from pipeline.api.ranges import PartOfFile, as_part, part_asked
from pipeline.models import data_kinds
from pipeline.readers import fields
from pipeline.readers.release.build import Known
from pipeline.readers.release.package import DESCRIPTOR
from pipeline.readers.releases import release_file, releases

TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
}
PLAIN = "text/plain; charset=utf-8"


class Releases(Endpoint):
    """The releases in the folder MARKETSPINE_RELEASES_DIR."""

    def described(self) -> Description:
        """For the OpenAPI document."""
        item = {"type": "object", "required": ["release", "as_of", "files", "bytes", "datapackage"]}
        return of_document("exports", "Releases: folders of Parquet files", {"type": "array", "items": item})

    def get(self, request: Request) -> HttpResponse:
        """The newest first, each with the address of its descriptor, which names its files."""
        data = [_line(one) for one in releases()]
        meta = {"source": fields.SOURCE, "terms": fields.TERMS}
        return told(request, {"data": data, "meta": meta, "warnings": [], "links": {}})


class ReleaseFile(Endpoint):
    """A file of a release."""

    def described(self) -> Description:
        """For the OpenAPI document."""
        return of_file(sorted({*TYPES.values(), PLAIN}))

    def get(self, request: Request, release: str, path: str) -> HttpResponseBase:
        """The file, with an ETag of its size and age: a finished release is never written again."""
        http = request._request
        requests.check_none(http.GET)
        file = release_file(release, path)
        stands = file.stat()
        etag = digest((release, path, stands.st_size, stands.st_mtime_ns))
        if is_held(http, etag):
            return not_modified(etag, UNCHANGED_FOR_EVER)
        part = part_asked(http, stands.st_size, etag)
        opened: Any = PartOfFile(file.open("rb"), part) if part else file.open("rb")
        response = FileResponse(opened, as_attachment=True, filename=_name(path), content_type=_type(file))
        as_part(response, part)
        return marked(response, etag, UNCHANGED_FOR_EVER)


def _line(one: Known) -> dict[str, object]:
    """A release in the list."""
    descriptor = f"{ROOT}exports/{one.name}/{DESCRIPTOR}"
    said: dict[str, object] = {"release": one.name, "as_of": one.as_of, "files": len(one.resources), "bytes": one.size}
    return said | {"datapackage": descriptor}


def _name(path: str) -> str:
    """The name of the downloaded file, with its folders, without which names would be ambiguous."""
    return data_kinds.file_name(path.replace("/", "_"))


def _type(file: Path) -> str:
    return TYPES.get(file.suffix, PLAIN)
