"""kombu's Redis, mended: a worker outlives a broker that dies while it holds messages.

When kombu gives up a lost connection, its channel still has messages to acknowledge or hand back, but no address any more.
kombu 5.7.0 then raises AttributeError (`Channel._connparams`) where it ignores only errors of the connection, and the
worker ends. Here it is an error of the connection: the new connection delivers the messages again, or the ledger resends
them.
"""

from __future__ import annotations

from typing import Any

import redis.exceptions
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A channel that knows when its connection was given up."""

    def _connparams(self, *args: Any, **more: Any) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise redis.exceptions.ConnectionError("the connection to the broker was given up")
        return dict(super()._connparams(*args, **more))  # type: ignore[misc]  # no part of the stubs


class Transport(kombu_redis.Transport):
    """The transport with such channels."""

    Channel = Channel


def use() -> None:
    """Let every connection of this process to Redis be of this kind."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{Transport.__name__}"
