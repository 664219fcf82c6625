"""Whether this process can do its work: what a container's health check asks."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse


def health(_request: HttpRequest) -> HttpResponse:
    """200 while the database answers, 503 with the reason while it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return HttpResponse(f"the database does not answer: {type(error).__name__}\n", "text/plain", 503)
    return HttpResponse("ok\n", "text/plain")
