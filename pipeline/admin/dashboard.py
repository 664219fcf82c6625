"""The first page: the grid of weeks and tiers, four figures, banners, charts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin's index."""
    return context
