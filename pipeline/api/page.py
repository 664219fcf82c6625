"""The page of the API: the OpenAPI document in Swagger UI, from our own files, for users who have signed in."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pipeline.api.authentication import READING


@require_safe
@login_required
@permission_required(READING, raise_exception=True)
def api_page(request: HttpRequest) -> HttpResponse:
    """Every endpoint with its parameters, and a button that tries it with the browser's session."""
    return render(request, "pipeline/api.html")
