"""Client connections with a deadline for the request and for taking the answer: a slow client delays no other."""

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
    """A socket that is reset once a request has not arrived whole in time, however often a byte of it does."""

    _deadline = 0.0

    @classmethod
    def of(cls, accepted: socket.socket) -> TimedSocket:
        """The same connection; the one that was accepted is left empty."""
        timed = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        timed.begin()
        return timed

    def begin(self) -> None:
        """From now on a request may take REQUEST_SECONDS to arrive."""
        self._deadline = time.monotonic() + REQUEST_SECONDS

    @property
    def is_late(self) -> bool:
        """Whether the time for the request is over."""
        return time.monotonic() >= self._deadline

    def waiting(self) -> bytes | None:
        """The first of what has arrived and was not read yet; None while nothing has, nothing at the client's end."""
        self.setblocking(False)
        try:
            return super().recv(LOOKED_AT, socket.MSG_PEEK)
        except BlockingIOError:
            return None

    def recv(self, *args: Any) -> bytes:
        """As a socket's; ConnectionResetError when the time is over."""
        with self._in_time():
            return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        """The same into a buffer."""
        with self._in_time():
            return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        """As a socket's; ConnectionResetError when the client does not take it."""
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
    """Whether what has arrived is a whole request, or as much of one as can be looked at before it is read."""
    head, end, body = arrived.partition(END_OF_HEAD)
    length = LENGTH.search(head + end)
    whole = bool(end) and len(body) >= (int(length[1]) if length else 0)
    return not arrived or whole or len(arrived) >= LOOKED_AT


@contextmanager
def _reset() -> Iterator[None]:
    """Servers end what was reset without a word."""
    try:
        yield
    except TimeoutError:
        raise ConnectionResetError("the client took too long") from None
