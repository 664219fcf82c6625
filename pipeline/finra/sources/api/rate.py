"""The rate of requests: FINRA allows 20 a second for an IP address (finra.md, "Limits").

Requests are spaced evenly, not sent in bursts: so any span of a second holds no more than its share, also where some take
longer than others. All workers of a fleet take their places from one Redis.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import redis
from redis.commands.core import Script

from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.base import TransientSourceError

# Of the rate so much is used: a request that is under way for a quarter of a second longer than those after it, because
# its connection is made first, must not fall into their second.
HEADROOM = 0.8
LATE_SECONDS = 0.04  # a request that is later than this for its place takes a new one
MOST_PLACES = 20
PATIENCE = 120.0  # a longer wait that FINRA asks for is left to the engine, whose next try comes after it
# After a 429 that does not say how long to wait, the rate is halved, once a second at most; after a minute without a
# further one it is whole again.
MOST_HALVINGS = 5
HALVING_SECONDS = 1.0
SLOW_SECONDS = 60.0

PREFIX = "marketspine:finra:"
KEYS = [f"{PREFIX}{name}" for name in ("next-request", "held", "halvings", "halved")]
KEPT_MS = 3_600_000

# How long FINRA has asked to wait, in milliseconds; and the next free instant in microseconds of Redis's own clock: one
# clock for all machines. An instant that is ten minutes away was taken before that clock was set back, and is not kept.
TAKE = """
local held = redis.call('PTTL', KEYS[2])
if held > 0 then return {held, '0'} end
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
if taken > now + 600000000 then taken = 0 end
local at = math.max(now, taken)
local interval = ARGV[1] * 2 ^ math.min(tonumber(redis.call('GET', KEYS[3]) or '0'), tonumber(ARGV[3]))
redis.call('SET', KEYS[1], string.format('%.0f', at + interval), 'PX', ARGV[2])
return {0, string.format('%.0f', at - now)}
"""
HOLD = """
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
"""
SLOW = """
if redis.call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[1]) then
    redis.call('INCR', KEYS[3])
    redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the row of requests, in `seconds`; or none yet, because FINRA has asked to wait for `seconds`."""

    seconds: float
    is_held: bool = False


class Places(Protocol):
    """The origin of places in the row of requests."""

    def take(self) -> Place:
        """Take the next place; none is taken while FINRA has asked to wait."""
        ...

    def hold(self, seconds: float) -> None:
        """Give no place for `seconds`: FINRA has asked to wait."""
        ...

    def slow(self) -> None:
        """Give half as many places for a while: FINRA had too many requests."""
        ...


class LocalPlaces:
    """Places for the threads of this process, by a clock that is never frozen or set."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = self._held_until = self._halved_at = 0.0
        self._halvings = 0
        self._lock = threading.Lock()

    def take(self) -> Place:
        """The next place, an interval after the one before."""
        with self._lock:
            now = time.perf_counter()
            if now < self._held_until:
                return Place(self._held_until - now, is_held=True)
            if now - self._halved_at > SLOW_SECONDS:
                self._halvings = 0
            at = max(now, self._next)
            self._next = at + self._interval * 2**self._halvings
        return Place(at - now)

    def hold(self, seconds: float) -> None:
        """Give no place for `seconds`."""
        with self._lock:
            self._held_until = max(self._held_until, time.perf_counter() + seconds)

    def slow(self) -> None:
        """Halve the rate."""
        with self._lock:
            now = time.perf_counter()
            if not self._halvings or now - self._halved_at > HALVING_SECONDS:
                self._halvings = min(self._halvings + 1, MOST_HALVINGS)
                self._halved_at = now


class SharedPlaces:
    """Places for all workers of a fleet, in one Redis. TransientSourceError where that cannot be reached."""

    def __init__(self, interval: float, client: redis.Redis) -> None:
        self._interval = round(interval * 1_000_000)
        self._take, self._hold, self._slow = map(client.register_script, (TAKE, HOLD, SLOW))

    def take(self) -> Place:
        """The next place by Redis's clock."""
        held, away = self._tell(self._take, self._interval, KEPT_MS, MOST_HALVINGS)
        return Place(held / 1000, is_held=True) if held else Place(float(away) / 1_000_000)

    def hold(self, seconds: float) -> None:
        """Give no place to the whole fleet for `seconds`."""
        self._tell(self._hold, max(1, round(seconds * 1000)))

    def slow(self) -> None:
        """Halve the rate of the whole fleet."""
        self._tell(self._slow, round(HALVING_SECONDS * 1000), round(SLOW_SECONDS * 1000))

    def _tell(self, script: Script, *arguments: int) -> Any:
        try:
            return script(keys=KEYS, args=list(arguments))
        except redis.RedisError as error:
            raise TransientSourceError(f"the rate of requests is shared through Redis, which fails: {error}") from error


class Pace:
    """Lets requests pass one by one, each at its place."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.hold, self.slow = places.hold, places.slow

    def wait(self) -> None:
        """Wait until a request may be sent; TransientSourceError where FINRA has asked for a wait beyond PATIENCE."""
        for _ in range(MOST_PLACES):
            place = self._places.take()
            if place.is_held and place.seconds > PATIENCE:
                raise TransientSourceError(
                    f"FINRA has asked for {place.seconds:,.0f} more seconds without a request", place.seconds
                )
            due = time.perf_counter() + place.seconds
            time.sleep(max(0.0, due - time.perf_counter()))
            if not place.is_held and time.perf_counter() - due < LATE_SECONDS:
                return


def held_seconds(shared: str) -> float:
    """The seconds that FINRA has asked the fleet of this Redis to wait from now on; 0 for none. redis.RedisError."""
    held: Any = redis_of(shared).pttl(KEYS[1])
    return max(0, int(held)) / 1000


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
