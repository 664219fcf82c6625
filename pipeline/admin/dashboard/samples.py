"""The notice of invented data, on every page."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from pipeline.models import data_kinds


def notice(_request: HttpRequest) -> dict[str, object]:
    """The context processor of the notice; lazy, so that only pages with the notice query the ledger."""
    return {"shows_samples": SimpleLazyObject(data_kinds.shows_samples)}
