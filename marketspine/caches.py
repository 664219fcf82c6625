"""The cache in which the API counts a token's requests: a fleet's Redis, or the memory of a single process."""

from __future__ import annotations

from typing import Any

from marketspine.addresses import IN_PROCESS, for_redis_py


def cache_beside(broker: str) -> dict[str, Any]:
    """Django's CACHES entry for a broker's URL, as `marketspine.addresses.broker` gives it."""
    if broker == IN_PROCESS:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "marketspine"}
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": for_redis_py(broker),
        "KEY_PREFIX": "marketspine",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
