"""How many requests an address may make: 20 a second, asynchronous ones 20 an hour (finra.md, "Limits")."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import floor
from threading import Lock
from time import perf_counter

from tests.fake_finra.options import Window


class Throttle:
    """A limit of so many per `seconds`, for each key by itself; None is no limit. What is refused does not count.

    The clock is one that a frozen virtual date does not stop.
    """

    def __init__(
        self,
        limit: int | None,
        seconds: float,
        window: Window = Window.SLIDING,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._window = window
        self._clock = clock
        self._admitted: dict[str, deque[float]] = {}
        self._lock = Lock()

    def admits(self, key: str) -> bool:
        """Whether one more is within the limit; if so it is counted."""
        if self._limit is None:
            return True
        with self._lock:
            now = self._clock()
            admitted = self._admitted.setdefault(key, deque())
            while admitted and admitted[0] <= self._since(now):
                admitted.popleft()
            if len(admitted) >= self._limit:
                return False
            admitted.append(now)
            return True

    def _since(self, now: float) -> float:
        """Admissions up to then count no more."""
        if self._window is Window.SLIDING:
            return now - self._seconds
        return floor(now / self._seconds) * self._seconds
