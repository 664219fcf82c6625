"""The notice that every page carries."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from pipeline.models import data_kinds


def notice(_request: HttpRequest) -> dict[str, object]:
    """Whether a page shows invented data, for its notice; asked only by pages that have one."""
    return {"shows_samples": SimpleLazyObject(data_kinds.shows_samples)}
