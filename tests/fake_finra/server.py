"""The service on a socket of loopback: HTTP/1.1 with connections kept alive, and replies that break off on demand."""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import perf_counter
from types import TracebackType
from typing import Self

from tests.fake_finra.control import CONTROL, steer
from tests.fake_finra.exchange import Asked, Ending, Reply
from tests.fake_finra.service import Service

LOOPBACK = "127.0.0.1"
NO_BODY = frozenset({204, 304})


class FinraServer:
    """A service under an address. As a context manager it is stopped at the end, with every reply under way."""

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service = service
        self._server = _Server((LOOPBACK, port), service)
        service.base = self.url
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens: the base of the API and of the token endpoint."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Answer from now on, in threads."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        self.stopping = Event()
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Said by the service's own log."""

    def _answer(self) -> None:
        at = perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, self.headers, body, str(self.client_address[0]))
        if asked.path.startswith(CONTROL):
            self._send(steer(self.server.service, asked))
        else:
            self._send(self.server.service.answer(asked, at))

    def _send(self, reply: Reply) -> None:
        self.server.stopping.wait(reply.wait) if reply.wait else None
        if reply.cut == -1:
            self._break_off(reply.ending)
            return
        body = b"" if reply.status in NO_BODY else reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in NO_BODY:
            self.send_header("Content-Length", str(len(body)))
        self._write(body, reply)

    def _write(self, body: bytes, reply: Reply) -> None:
        """The head and the first piece leave in one write."""
        sent = body if reply.cut is None else body[: reply.cut]
        piece = reply.piece or max(1, len(sent))
        head = b"".join([*self._headers_buffer, b"\r\n"])
        self._headers_buffer: list[bytes] = []
        self.wfile.write(head + sent[:piece])
        for start in range(piece, len(sent), piece):
            if self.server.stopping.wait(reply.pause):
                break
            self.wfile.write(sent[start : start + piece])
        if reply.cut is not None:
            self._break_off(reply.ending)

    def _break_off(self, ending: Ending) -> None:
        """End the connection now: with a reset, or as if all had been sent."""
        self.close_connection = True
        if ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        else:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
