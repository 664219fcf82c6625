"""The parts of `serve` beside the embedded worker: a web server and a beat."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import WSGIApplication

from celery import current_app
from celery.beat import Service
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connection

from marketspine.connections import TimedSocket
from pipeline.engine.beat import Scheduler

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
BEAT_SECONDS = 1  # how long beat sleeps at most, and so how long it takes to stop
RESTART_SECONDS = 5


def listen(host: str, port: int, application: WSGIApplication) -> ThreadedWSGIServer:
    """A web server that has its port, and does not serve yet; OSError when it cannot have the port. 0 is any port."""
    server = _Server((host, port), _Handler, ipv6=":" in host)
    server.set_app(application)
    return server


class _Server(ThreadedWSGIServer):
    """Django's server, whose threads wait for a slow client no longer than a request may take."""

    def get_request(self) -> tuple[TimedSocket, Any]:
        """The next connection."""
        accepted, address = super().get_request()
        return TimedSocket.of(accepted), address


class _Handler(WSGIRequestHandler):
    """Logs failed requests only."""

    def handle_one_request(self) -> None:
        """Start the time of each request of a connection anew."""
        connection: Any = self.connection
        connection.begin()
        super().handle_one_request()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a request whose answer is a failure."""
        if not str(code).startswith(("2", "3")):
            super().log_request(code, size)


@contextmanager
def web(server: ThreadedWSGIServer) -> Iterator[None]:
    """Serve during the block. At its end requests under way are cut, since browsers hold connections open."""
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def beat() -> Iterator[None]:
    """Run beat during the block."""
    thread = _Beat()
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class _Beat(threading.Thread):
    """Celery's beat in a thread; after an error, such as a lost database, it starts again within seconds."""

    def __init__(self) -> None:
        super().__init__(name="beat", daemon=True)
        self._stopping = threading.Event()
        self._service = _service()

    def run(self) -> None:
        """Beat until told to stop."""
        while not self._stopping.is_set():
            try:
                self._service.start()
            except Exception:
                logger.exception("beat has stopped; it is started again in %s s", RESTART_SECONDS)
                self._stopping.wait(RESTART_SECONDS)
                self._service = _service()
            finally:
                connection.close()

    def stop(self) -> None:
        """Let it write its last sendings, and end."""
        self._stopping.set()
        self._service.stop()
        self.join()


def _service() -> Service:
    return Service(current_app, max_interval=BEAT_SECONDS, scheduler_cls=Scheduler)
