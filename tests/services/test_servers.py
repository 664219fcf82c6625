"""The servers are real, and no test leaves the machine."""

from __future__ import annotations

import socket

import psycopg
import pytest
import redis

from tests.support import servers
from tests.support.network import NetworkBlocked

ELSEWHERE = ("192.0.2.1", 9)  # TEST-NET-1 of RFC 5737: nobody's


def test_postgresql_is_real_and_supported() -> None:
    with psycopg.connect(servers.database_url()) as server:
        row = server.execute("SELECT version()").fetchone()
        version = server.info.server_version
    assert row is not None
    assert row[0].startswith("PostgreSQL ")
    assert version >= 150000


def test_redis_answers_and_keeps_a_value(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True
        assert client.set("week_ending", "2025-12-26") is True
        assert client.get("week_ending") == b"2025-12-26"


def test_redis_starts_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_connecting_elsewhere_is_refused_before_anything_is_sent(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as outward, pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1"):
        outward.connect(ELSEWHERE)


def test_sending_elsewhere_is_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward,
        pytest.raises(NetworkBlocked, match="sendto"),
    ):
        outward.sendto(b"x", ELSEWHERE)


def test_looking_up_a_name_is_refused() -> None:
    with pytest.raises(NetworkBlocked, match=r"getaddrinfo to finra\.example"):
        socket.create_connection(("finra.example", 443))
    with pytest.raises(NetworkBlocked, match=r"gethostbyname to finra\.example"):
        socket.gethostbyname("finra.example")


def test_loopback_and_unix_sockets_are_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
    first, second = socket.socketpair()
    with first, second:
        first.sendall(b"x")
        assert second.recv(1) == b"x"
