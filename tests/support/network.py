"""No test leaves the machine: connections and name look-ups are refused, except loopback and Unix sockets.

An audit hook (PEP 578) needs no patching and sees every Python socket, in every thread. libpq opens its sockets in C,
out of its sight: where PostgreSQL is, `tests.support.servers` alone decides.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

ADDRESS_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
NAME_EVENTS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


class NetworkBlocked(RuntimeError):
    """A test tried to leave the machine. Not an OSError: nothing may take it for a server that is down."""


def _given_hosts() -> set[str]:
    """The hosts of the servers that the user gave, by name and by address."""
    given = (os.environ.get(name) for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL"))
    names = {host for url in given if url and (host := urlsplit(url).hostname)}
    return names | {str(info[4][0]) for name in names for info in socket.getaddrinfo(name, None)}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in {"", "localhost"}


def _target(event: str, args: tuple[Any, ...]) -> str | None:
    """The host that an audited call is about to reach, None where it reaches none."""
    if event in NAME_EVENTS:
        host = args[0]
    elif event in ADDRESS_EVENTS and args[0].family in {socket.AF_INET, socket.AF_INET6} and args[1]:
        host = args[1][0]
    else:
        return None
    return os.fsdecode(host) if host is not None else None


def block() -> None:
    """Refuse, from now on and in the whole process, what would leave the machine. It cannot be taken back."""
    allowed = _given_hosts()

    def guard(event: str, args: tuple[Any, ...]) -> None:
        if not event.startswith("socket."):
            return
        host = _target(event, args)
        if host is not None and host not in allowed and not _is_loopback(host):
            raise NetworkBlocked(f"{event} to {host}: tests stay on this machine")

    sys.addaudithook(guard)
