"""A port for the metrics alone: for a scrape that cannot send a token, from a process that does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from django.db import connections

from pipeline.metrics import exposition

Page = tuple[str, str, bytes]
PLAIN = "text/plain; charset=utf-8"
NOT_FOUND: Page = ("404 Not Found", PLAIN, b"/metrics and /livez are here\n")


def application() -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The WSGI application."""
    registry = exposition.with_process()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, content_type, body = _page(environ["PATH_INFO"])
        finally:
            connections.close_all()  # each request has a thread of its own
        start_response(status, [("Content-Type", content_type), ("Content-Length", f"{len(body)}")])
        return [body]

    def _page(path: str) -> Page:
        if path == "/livez":
            return "200 OK", PLAIN, b"ok\n"
        if path == "/metrics":
            return "200 OK", exposition.CONTENT_TYPE, exposition.text(registry)
        return NOT_FOUND

    return answer
