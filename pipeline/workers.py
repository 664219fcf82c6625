"""Who is working: a token per execution, and whether the one who left it behind is still alive."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_working: set[str] = set()


@contextmanager
def working() -> Iterator[str]:
    """A token for the time of an execution: "host:pid:nonce"."""
    token = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    _working.add(token)
    try:
        yield token
    finally:
        _working.discard(token)


def is_known_dead(token: str) -> bool:
    """Whether the execution that `token` names has ended for certain. On another machine nobody can tell."""
    host, pid, _ = token.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    if int(pid) == os.getpid():
        return token not in _working
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
