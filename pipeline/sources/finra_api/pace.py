"""The rate of requests: FINRA allows 20 a second for an IP address (finra.md, "Limits").

Requests are spaced evenly rather than sent in bursts: then no second, wherever it is cut out, holds more than its share,
also where some are under way for longer than others. All workers of a fleet take their places from one Redis.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import Protocol

import redis

from pipeline.sources.base import TransientSourceError
from pipeline.sources.finra_api.access import Access

# Of the rate so much is used: a request that is under way for a quarter of a second longer than those after it, because
# its connection is made first, must not fall into their second.
HEADROOM = 0.8
LATE_SECONDS = 0.04  # a place that was overslept by more is given up for a new one
MOST_PLACES = 20
KEY = "marketspine:finra:next-request"
KEPT_MS = 3_600_000

# The next free instant in microseconds of Redis's own clock: one clock for all machines. One that is ten minutes away was
# taken before that clock was set back, and nobody waits for it.
TAKE = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
if taken > now + 600000000 then taken = 0 end
local at = math.max(now, taken)
redis.call('SET', KEYS[1], string.format('%.0f', at + ARGV[1]), 'PX', ARGV[2])
return string.format('%.0f', at - now)
"""
HOLD = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local at = math.max(now + ARGV[1], tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', ARGV[2])
"""


class Places(Protocol):
    """Where places in the row of requests come from."""

    def take(self) -> float:
        """Take the next place; how many seconds it is away."""
        ...

    def hold(self, seconds: float) -> None:
        """Give no place for so long: FINRA has asked to wait."""
        ...


class LocalPlaces:
    """Places for the threads of this process. The clock is one that nobody freezes or sets."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self) -> float:
        """The next place, `interval` seconds after the one before."""
        with self._lock:
            now = time.perf_counter()
            at = max(now, self._next)
            self._next = at + self._interval
        return at - now

    def hold(self, seconds: float) -> None:
        """Move the next place on."""
        with self._lock:
            self._next = max(self._next, time.perf_counter() + seconds)


class SharedPlaces:
    """Places for all workers of a fleet, in one Redis. TransientSourceError where that cannot be reached."""

    def __init__(self, interval: float, client: redis.Redis) -> None:
        self._interval = round(interval * 1_000_000)
        self._take, self._hold = client.register_script(TAKE), client.register_script(HOLD)

    def take(self) -> float:
        """The next place by Redis's clock."""
        try:
            return float(self._take(keys=[KEY], args=[self._interval, KEPT_MS])) / 1_000_000
        except redis.RedisError as error:
            raise TransientSourceError(f"the rate of requests is shared through Redis, which fails: {error}") from error

    def hold(self, seconds: float) -> None:
        """Move the next place on, for everybody."""
        try:
            self._hold(keys=[KEY], args=[round(seconds * 1_000_000), KEPT_MS])
        except redis.RedisError as error:
            raise TransientSourceError(f"the rate of requests is shared through Redis, which fails: {error}") from error


class Pace:
    """Lets requests pass one by one, each at its place."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.hold = places.hold

    def wait(self) -> None:
        """Return when a request may be sent."""
        for _ in range(MOST_PLACES):
            due = time.perf_counter() + self._places.take()
            time.sleep(max(0.0, due - time.perf_counter()))
            if time.perf_counter() - due < LATE_SECONDS:
                return


def pace_of(access: Access) -> Pace:
    """The pace of all that ask with this access."""
    return _pace(access.requests_per_second, access.shared, access.api_url)


@lru_cache(maxsize=8)
def _pace(requests_per_second: int, shared: str, _api_url: str) -> Pace:
    interval = 1 / (requests_per_second * HEADROOM)
    return Pace(SharedPlaces(interval, redis_of(shared)) if shared else LocalPlaces(interval))


@lru_cache(maxsize=4)
def redis_of(url: str) -> redis.Redis:
    """A client of the Redis that the fleet shares."""
    return redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=10, decode_responses=True)
