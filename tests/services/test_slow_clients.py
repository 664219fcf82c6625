"""Clients that send slowly, or nothing, or take nothing, keep nobody out: on `serve`, and on the web of compose."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from marketspine.connections import LOOKED_AT, REQUEST_SECONDS, TimedSocket, is_whole
from tests.containers.composing import service
from tests.management.calling import finish, start_on
from tests.support.engines import Engines

SLOW = 40  # more than the web of compose has threads
PATIENCE = 120
GIVEN = {"POSTGRES_PASSWORD": "pw1", "REDIS_PASSWORD": "pw2", "SECRET_KEY": "k"}
HEAD = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
BODY = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nusername="
STUCK = {"nothing": b"", "half a line": b"GET /hea", "half a head": HEAD, "half a body": BODY}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def answered(port: int, patience: float = PATIENCE) -> int:
    """The status of the health page; OSError while nobody listens or answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def until_it_answers(port: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            assert answered(port) == 200
            return
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.1)


@contextmanager
def listening(database_url: str, kind: str) -> Iterator[int]:
    """The port of a server of this kind; told to stop at the end of the block, it ends by itself with 0."""
    port = free_port()
    if kind == "serve":
        words = ["manage.py", "serve", "--no-beat", "--port", f"{port}"]
    else:
        command = service("web", GIVEN).command
        words = ["-m", *(f"127.0.0.1:{port}" if word == "0.0.0.0:8000" else word for word in command)]
    process = start_on(database_url, *words)
    try:
        until_it_answers(port)
        yield port
        process.send_signal(signal.SIGTERM)
        assert finish(process).code == 0
    finally:
        process.kill()


@contextmanager
def connected(port: int, sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(sent)
        yield client


@pytest.mark.parametrize("kind", ["serve", "gunicorn"])
def test_forty_slow_connections_of_each_kind_keep_nobody_out(engines: Engines, kind: str) -> None:
    with engines.using("sqlite") as ledger, listening(ledger.url, kind) as port, ExitStack() as open_:
        for sent in STUCK.values():
            for _ in range(SLOW):
                open_.enter_context(connected(port, sent))
        began = time.monotonic()
        assert [answered(port) for _ in range(5)] == [200] * 5
        assert time.monotonic() - began < REQUEST_SECONDS
        open_.pop_all()  # they stay open while it is told to stop


@pytest.mark.parametrize("kind", ["serve", "gunicorn"])
def test_a_request_that_does_not_arrive_in_time_is_cut(engines: Engines, kind: str) -> None:
    with engines.using("sqlite") as ledger, listening(ledger.url, kind) as port, ExitStack() as open_:
        clients = [open_.enter_context(connected(port, sent)) for sent in list(STUCK.values())[1:]]
        for client in clients:
            with pytest.raises(ConnectionError):
                trickle(client)


def trickle(client: socket.socket) -> None:
    """A byte now and then, which is no reason to wait for ever; ConnectionError once the server has had enough."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        client.sendall(b"x")
        time.sleep(0.2)


@pytest.mark.parametrize("kind", ["serve", "gunicorn"])
def test_a_request_in_two_halves_is_answered(engines: Engines, kind: str) -> None:
    with engines.using("sqlite") as ledger, listening(ledger.url, kind) as port, connected(port, HEAD) as client:
        time.sleep(1.2)
        client.sendall(b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_what_is_a_whole_request() -> None:
    form = b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n"
    assert is_whole(HEAD + b"\r\n")
    assert not is_whole(HEAD)
    assert not is_whole(form + b"a=")
    assert is_whole(form + b"a=1")
    assert is_whole(b"")  # the client has gone: the thread finds out
    assert is_whole(b"x" * LOOKED_AT)


def test_an_answer_that_nobody_takes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketspine.connections.ANSWER_SECONDS", 0.1)
    ours, theirs = socket.socketpair()
    with TimedSocket.of(ours) as timed, theirs, pytest.raises(ConnectionResetError):
        timed.sendall(b"x" * 10_000_000)
