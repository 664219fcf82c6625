"""Client connections with deadlines for sending the request and for taking the answer: a slow client delays no other."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REQUEST_SECONDS = 10.0  # from the first byte of a request to the last of its body
ANSWER_SECONDS = 30.0  # for one piece of an answer
LOOKED_AT = 64 * 1024  # bytes, fewer than a connection holds until they are read
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,7})[ \t]*\r\n", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"


class TimedSocket(socket.socket):
    """A socket that is reset when a request is not complete in time, even if its bytes keep trickling in."""

    _deadline = 0.0

    @classmethod
    def of(cls, accepted: socket.socket) -> TimedSocket:
        """The same connection as a TimedSocket; `accepted` is detached from it."""
        timed = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        timed.begin()
        return timed

    def begin(self) -> None:
        """Start the time of a request: REQUEST_SECONDS from now."""
        self._deadline = time.monotonic() + REQUEST_SECONDS

    @property
    def is_late(self) -> bool:
        """Whether the time for the request is over."""
        return time.monotonic() >= self._deadline

    def waiting(self) -> bytes | None:
        """The bytes that have arrived and were not read yet; None while there are none, b"" after the client's end."""
        self.setblocking(False)
        try:
            return super().recv(LOOKED_AT, socket.MSG_PEEK)
        except BlockingIOError:
            return None

    def recv(self, *args: Any) -> bytes:
        """As `socket.recv`; ConnectionResetError when the time is over."""
        with self._in_time():
            return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        """As `socket.recv_into`; ConnectionResetError when the time is over."""
        with self._in_time():
            return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        """As `socket.sendall`; ConnectionResetError when the client does not take the bytes in time."""
        with _reset():
            self.settimeout(ANSWER_SECONDS)
            super().sendall(*args)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        with _reset():
            if self.is_late:
                raise TimeoutError
            self.settimeout(max(self._deadline - time.monotonic(), 0.001))
            yield


def is_whole(arrived: bytes) -> bool:
    """Whether the bytes are a whole request, the client's end, or as many as can be looked at before they are read."""
    head, end, body = arrived.partition(END_OF_HEAD)
    length = LENGTH.search(head + end)
    whole = bool(end) and len(body) >= (int(length[1]) if length else 0)
    return not arrived or whole or len(arrived) >= LOOKED_AT


@contextmanager
def _reset() -> Iterator[None]:
    """Turn a time-out into a reset, which servers handle without a traceback."""
    try:
        yield
    except TimeoutError:
        raise ConnectionResetError("the client took too long") from None
