"""A server that speaks S3, moto's, in a process of its own, and what stands between it and the product and misbehaves."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

BUCKET = "market-spine"
PATIENCE = 120
PASSED_ON = ("Content-Type", "Content-Length", "ETag", "Last-Modified")


class Fault(StrEnum):
    """What becomes of a request."""

    FORBIDDEN = "403 AccessDenied"
    ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    RESET = "the connection ends before an answer"
    HALF = "the connection ends in the midst of the answer"
    UNTOLD = "the request is done, and the connection ends before an answer"
    HANGS = "the request is not answered"


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server without a bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def client(url: str) -> object:
    """A client of the test's own: what is in the bucket is looked at past the product."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)


def _wait_for(port: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the S3 server did not start")


@dataclass
class Proxy:
    """Passes requests on to a server, until `fault` says of one (method, path) what becomes of it."""

    server_port: int
    port: int = 0
    fault: Callable[[str, str], Fault | None] = lambda _method, _path: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)  # moto looks, then writes; S3 does both at once

    @property
    def url(self) -> str:
        """Where the product asks."""
        return f"http://127.0.0.1:{self.port}"

    def always(self, fault: Fault | None, *methods: str) -> None:
        """Have every request of these methods (or every one) end so."""
        self.fault = lambda method, _path: fault if not methods or method in methods else None

    def once(self, fault: Fault, method: str) -> None:
        """Have the next request of the method end so."""
        left = [fault]
        self.fault = lambda asked, _path: left.pop() if asked == method and left else None

    def each_first(self, fault: Fault) -> None:
        """Have every other request of each method and path end so, from the first on."""
        failed: set[tuple[str, str]] = set()

        def decide(method: str, path: str) -> Fault | None:
            asked = (method, path)
            is_first = asked not in failed
            (failed.add if is_first else failed.remove)(asked)
            return fault if is_first else None

        self.fault = decide


@contextmanager
def misbehaving(server_url: str) -> Iterator[Proxy]:
    """A proxy in front of a server."""
    proxy = Proxy(int(server_url.rpartition(":")[2]))
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        proxy.port = listening.server_port
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.over.set()
            listening.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """One connection to the proxy."""

    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        """Pass the request on, or have it end as it is to."""
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self._body()
        self.proxy.seen.append((self.command, self.path))
        fault = self.proxy.fault(self.command, self.path)
        if fault in (Fault.FORBIDDEN, Fault.ERROR, Fault.SLOW_DOWN):
            self._refuse(*fault.split())
        elif fault is Fault.RESET:
            self._cut()
        elif fault is Fault.HANGS:
            self.proxy.hanging.set()
            self.proxy.over.wait(PATIENCE)
            self._cut()
        else:
            with self.proxy.writing if self.command == "PUT" else nullcontext():
                self._pass_on(body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815 - the names that the server looks for

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _refuse(self, status: str, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so the test has it</Message></Error>".encode()
        self.send_response(int(status))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        server = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=PATIENCE)
        headers = {key: value for key, value in self.headers.items() if key not in ("Expect", "Transfer-Encoding")}
        server.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        answer = server.getresponse()
        content = answer.read()
        server.close()
        if fault is Fault.UNTOLD:
            self._cut()
            return
        self.send_response(answer.status)
        for name in PASSED_ON:
            if (value := answer.headers.get(name)) and name != "Content-Length":
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(content))))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault is Fault.HALF else content)
        if fault is Fault.HALF:
            self.wfile.flush()
            self._cut()
