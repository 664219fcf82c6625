"""The service's own log: what was asked when, and what was answered. The rate-limit test believes this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Entry:
    """A request. `at` is in seconds of a steady clock, when it arrived; `status` 0 is a connection cut before any.

    `body` is the payload of a POST; `faults` names what was done to the reply on demand.
    """

    at: float
    method: str
    path: str
    dataset: str | None
    body: object
    status: int
    rows: int
    request_id: str
    client: str
    with_token: bool
    throttled: bool
    faults: tuple[str, ...]
    user_agent: str = ""


class RequestLog:
    """All requests since the start or the last `clear`, in the order of their arrival. Safe for threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = Lock()

    def add(self, entry: Entry) -> None:
        """Note a request that has been answered."""
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def entries(self, dataset: str | None = None, *, status: int | None = None) -> list[Entry]:
        """The requests, of a dataset (any case) or answered with a status."""
        with self._lock:
            found = sorted(self._entries, key=lambda entry: entry.at)
        return [
            entry
            for entry in found
            if (dataset is None or entry.dataset == dataset.lower()) and status in (None, entry.status)
        ]

    def busiest(self, seconds: float = 1.0) -> int:
        """The most requests, throttled ones included, that arrived within any `seconds` on end."""
        return _busiest((entry.at for entry in self.entries()), seconds)

    def plain(self) -> list[dict[str, object]]:
        """The entries as JSON can hold them."""
        return [asdict(entry) for entry in self.entries()]


def _busiest(times: Iterable[float], seconds: float) -> int:
    most, within = 0, deque[float]()
    for time in times:
        within.append(time)
        while within[0] <= time - seconds:
            within.popleft()
        most = max(most, len(within))
    return most
