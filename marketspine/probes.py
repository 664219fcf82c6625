"""The addresses for machines: /livez, /readyz, /metrics. They are answered before the host and TLS are looked at.

A probe and a scrape ask a container's address, which ALLOWED_HOSTS does not name, over plain http. The answers hold no
details: no user has signed in.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseNotFound

from marketspine import schema
from pipeline.metrics import exposition
from pipeline.vintages import store

logger = logging.getLogger(__name__)

Answer = Callable[[HttpRequest], HttpResponse]
READS = ("GET", "HEAD")
PLAIN = "text/plain; charset=utf-8"
KEPT_SECONDS = 5.0


class Probes:
    """The first middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer to a probe, or the site's."""
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self._get_response(request)
        answer = probe(request) if request.method in READS else HttpResponseNotAllowed(READS)
        answer["Cache-Control"] = "no-store"
        return answer


def livez(_request: HttpRequest) -> HttpResponse:
    """200: the process answers. It asks no other service: a restart would not mend one."""
    return HttpResponse("ok\n", PLAIN)


def readyz(_request: HttpRequest) -> HttpResponse:
    """200 while requests can be served; else 503 with the missing part."""
    lacking = readiness.lacking()
    return HttpResponse(f"not ready: {lacking}\n", PLAIN, 503) if lacking else HttpResponse("ok\n", PLAIN)


def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, for requests with the token. Without a token in the settings there is no such page."""
    if not settings.MARKETSPINE_METRICS_TOKEN:
        return HttpResponseNotFound("not found\n", PLAIN)
    if not _has_token(request.headers.get("Authorization", "")):
        return HttpResponse("not with this token\n", PLAIN, 401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition.text(), exposition.CONTENT_TYPE)


def _has_token(said: str) -> bool:
    scheme, _, token = said.partition(" ")
    right = settings.MARKETSPINE_METRICS_TOKEN
    return scheme.lower() == "bearer" and secrets.compare_digest(token.strip().encode(), right.encode())


class Readiness:
    """The part that this process lacks to serve requests, looked up every KEPT_SECONDS at most."""

    def __init__(self) -> None:
        self._lock, self._looked_at, self._lacking = threading.Lock(), 0.0, ""

    def lacking(self) -> str:
        """The missing part; empty where all are there."""
        with self._lock:
            if not self._looked_at or time.monotonic() - self._looked_at > KEPT_SECONDS:
                self._lacking, self._looked_at = _lacking(), time.monotonic()
            return self._lacking

    def forget(self) -> None:
        """Look again with the next question."""
        self._looked_at = 0.0


def _lacking() -> str:
    for part, check in CHECKS.items():
        try:
            if not check():
                return part
        except (Error, OSError) as error:
            logger.warning("not ready: %s: %s", part, type(error).__name__)
            return part
    return ""


def _answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _is_mounted() -> bool:
    store.check_mounted()
    return True


CHECKS: Mapping[str, Callable[[], bool]] = {
    "the database does not answer": _answers,
    "the database is not migrated": lambda: not schema.pending(),
    "the archive is not there": _is_mounted,
}
PROBES: Mapping[str, Answer] = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
readiness = Readiness()
