"""Where the API counts the requests of a token: in the Redis of a fleet, in the process's memory where it is alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from marketspine.addresses import IN_PROCESS

SOCKET = "redis+socket"


def cache_beside(broker: str) -> dict[str, Any]:
    """Django's CACHES entry for a broker's URL, as `marketspine.addresses.broker` gives it."""
    if broker == IN_PROCESS:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "marketspine"}
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _as_redis_reads_it(broker),
        "KEY_PREFIX": "marketspine",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }


def _as_redis_reads_it(broker: str) -> str:
    """kombu writes `redis+socket://...?virtual_host=3` where redis-py reads `unix://...?db=3`."""
    url = urlsplit(broker)
    if url.scheme != SOCKET:
        return broker
    number = parse_qs(url.query).get("virtual_host", ["0"])[0]
    return url._replace(scheme="unix", query=f"db={number}").geturl()
