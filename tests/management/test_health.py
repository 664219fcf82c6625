"""`health`: what a container's health check asks, and what it hears."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIHandler
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline.engine import serving
from tests.management.calling import call
from tests.support.engines import Ledger

NOW = datetime(2025, 12, 15, 16, tzinfo=UTC)


class _Ill(http.server.BaseHTTPRequestHandler):
    """A web server whose database is gone."""

    def do_GET(self) -> None:
        """Answer as `marketspine.probes` does then."""
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"not ready: the database does not answer\n")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def ill_port() -> Iterator[int]:
    """The port of a web server that is not well."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Ill) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def test_a_web_that_says_it_is_not_well_is_not(ledger: Ledger, ill_port: int) -> None:
    ran = call("health", "web", "--port", ill_port)
    assert (ran.code, ran.lines) == (1, ["web: 503 not ready: the database does not answer"])


def test_the_web_is_asked_without_a_name_that_it_answers_to(ledger: Ledger, settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT, settings.SECRET_KEY = ["spine.example"], True, "s" * 50
    server = serving.listen("127.0.0.1", 0, WSGIHandler())
    with serving.web(server):
        ran = call("health", "web", "--port", server.server_port)
    assert (ran.code, ran.lines) == (0, ["web: 200 ok"])


def test_a_web_that_is_not_there_is_not_well(ledger: Ledger) -> None:
    ran = call("health", "web", "--port", 1)
    assert (ran.code, ran.lines[0][:26]) == (1, "web: no answer on port 1: ")


@pytest.mark.parametrize(
    ("ago", "code", "told"),
    [
        (None, 1, "beat: has never fired anything"),
        (30, 0, "beat: fired 'stalled-run sweep' 30 s ago"),
        (601, 1, "beat: fired 'stalled-run sweep' 601 s ago"),
    ],
)
def test_beat_is_well_while_it_fires(ledger: Ledger, ago: int | None, code: int, told: str) -> None:
    if ago is not None:
        PeriodicTask.objects.filter(name="stalled-run sweep").update(last_run_at=NOW - timedelta(seconds=ago))

    with time_machine.travel(NOW, tick=False):
        ran = call("health", "beat", "--json")

    assert (ran.code, ran.document) == (code, {"part": "beat", "healthy": code == 0, "told": told})


def test_without_a_broker_there_is_no_worker_to_ask(ledger: Ledger) -> None:
    ran = call("health", "worker")
    assert ran.code == 2
    assert "CELERY_BROKER_URL names no broker" in ran.err
