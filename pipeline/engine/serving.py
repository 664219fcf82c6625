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
    """A web server that has its port, and serves nothing yet; OSError when the port is not to be had. 0 is any port."""
    server = _Server((host, port), _Handler, ipv6=":" in host)
    server.set_app(application)
    return server


class _Server(ThreadedWSGIServer):
    """Django's, whose threads wait for a slow client no longer than a request may take."""

    def get_request(self) -> tuple[TimedSocket, Any]:
        """The next connection."""
        accepted, address = super().get_request()
        return TimedSocket.of(accepted), address


class _Handler(WSGIRequestHandler):
    """Logs what failed, and no more."""

    def handle_one_request(self) -> None:
        """Each request of a connection has its own time to arrive."""
        connection: Any = self.connection
        connection.begin()
        super().handle_one_request()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """As the base has it, but for answers that are as they should be."""
        if not str(code).startswith(("2", "3")):
            super().log_request(code, size)


@contextmanager
def web(server: ThreadedWSGIServer) -> Iterator[None]:
    """Serve for the time of the block. A request that is under way when it ends is cut: browsers hold theirs open."""
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
    """Send what the schedules say, for the time of the block."""
    thread = _Beat()
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class _Beat(threading.Thread):
    """Celery's beat in a thread; an error that ends it, a database that goes away say, ends it for seconds only."""

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
        """Let it write what it has sent, and end."""
        self._stopping.set()
        self._service.stop()
        self.join()


def _service() -> Service:
    return Service(current_app, max_interval=BEAT_SECONDS, scheduler_cls=Scheduler)
