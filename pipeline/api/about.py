"""The API about itself: its index, the dictionary of fields, its OpenAPI document, and the answer at unknown addresses."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request

from pipeline.api import requests
from pipeline.api.base import ASK_AGAIN, Endpoint, document, is_held, not_modified
from pipeline.api.cursors import digest
from pipeline.api.datasets import ROOT, SOURCES
from pipeline.api.descriptions import Description, of_document
from pipeline.api.problems import Problem
from pipeline.readers import DATASETS, Dataset, fields
from pipeline.readers.partitions import newest_weeks


class Index(Endpoint):
    """The index: the endpoints, the newest week of each tier, the terms."""

    def described(self) -> Description:
        """For the OpenAPI document."""
        return of_document("index", "What is here", {"type": "object"})

    def get(self, request: Request) -> HttpResponse:
        """The links to all endpoints."""
        return told(request, index())


class Dictionary(Endpoint):
    """Every field of every dataset: its type, unit, when it is null, and its meaning."""

    def described(self) -> Description:
        """For the OpenAPI document."""
        return of_document("dictionary", "Every field of every dataset", {"type": "array", "items": {"type": "object"}})

    def get(self, request: Request) -> HttpResponse:
        """The dictionary of the readers."""
        return told(request, dictionary())


class Nowhere(Endpoint):
    """Any other address below the API."""

    schema = None

    def get(self, request: Request, rest: str = "") -> HttpResponse:
        """A problem document, for users who may read."""
        raise Problem("not-found", f"There is no endpoint {request.path!r}: {ROOT} lists those there are.")


class OpenApi(Endpoint):
    """The OpenAPI document."""

    schema = None

    def get(self, request: Request) -> HttpResponse:
        """The OpenAPI 3.1 document, the same for all."""
        return told(request, openapi())


def told(request: Request, content: dict[str, Any]) -> HttpResponse:
    """A document made from the code or the ledger alone, without parameters."""
    requests.check_none(request._request.GET)
    etag = digest([content])
    if is_held(request._request, etag):
        return not_modified(etag, ASK_AGAIN)
    return document(content, etag, ASK_AGAIN)


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document, made once in a process."""
    generator: Any = SchemaGenerator
    return dict(generator().get_schema(request=None, public=True))


def index() -> dict[str, Any]:
    """The endpoints, each with its title."""
    endpoints = {source.path: {"href": f"{ROOT}{source.path}", "title": source.title} for source in SOURCES}
    others = ("exports", "dictionary", "openapi.json", "docs")
    links = {name: f"{ROOT}{name}" for name in others}
    newest = {tier.value: week.isoformat() if week else None for tier, week in newest_weeks().items()}
    meta = {
        "source": fields.SOURCE,
        "terms": fields.TERMS,
        "schema_version": fields.SCHEMA_VERSION,
        "newest_weeks": newest,
    }
    return {"data": endpoints, "meta": meta, "warnings": [], "links": links}


def dictionary() -> dict[str, Any]:
    """The datasets with their fields."""
    data = [_described(dataset) for dataset in DATASETS.values()]
    return {"data": data, "meta": {"schema_version": fields.SCHEMA_VERSION}, "warnings": [], "links": {}}


def _described(dataset: Dataset) -> dict[str, Any]:
    told_fields = [
        {"name": one.name, "type": str(one.type), "unit": one.unit, "null": one.null, "meaning": one.meaning}
        for one in dataset.fields
    ]
    said = {"name": dataset.name, "title": dataset.title, "meaning": dataset.meaning}
    return said | {"key": list(dataset.key), "fields": told_fields}
