"""This process's counts of requests to FINRA and of their answers, until they are taken to the ledger."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

TOO_MANY, UNAUTHORIZED, FORBIDDEN, NO_CONTENT = 429, 401, 403, 204


class Endpoint(StrEnum):
    """The kinds of requests."""

    DATA = "data"
    METADATA = "metadata"
    TOKEN = "token"  # noqa: S105 # a name


class Answer(StrEnum):
    """The kinds of answers."""

    OK = "ok"
    NO_DATA = "no_data"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_PAYLOAD = "bad_payload"


OF_STATUS = {
    NO_CONTENT: Answer.NO_DATA,
    TOO_MANY: Answer.THROTTLED,
    UNAUTHORIZED: Answer.UNAUTHORIZED,
    FORBIDDEN: Answer.FORBIDDEN,
}


@dataclass(slots=True)
class Counts:
    """Requests by endpoint and answer; bytes of bodies and seconds of waiting by endpoint."""

    requests: Counter[tuple[Endpoint, Answer]] = field(default_factory=Counter)
    bytes: Counter[Endpoint] = field(default_factory=Counter)
    waited: dict[Endpoint, float] = field(default_factory=dict)


class RequestCounts:
    """The counts of this process. Safe for threads."""

    def __init__(self) -> None:
        self._lock, self._counts = threading.Lock(), Counts()

    def answered(self, endpoint: Endpoint, answer: Answer, size: int = 0) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._counts.requests[endpoint, answer] += 1
            if size:
                self._counts.bytes[endpoint] += size

    def waited(self, endpoint: Endpoint, seconds: float) -> None:
        """Count a request's wait for its place in the rate."""
        with self._lock:
            self._counts.waited[endpoint] = self._counts.waited.get(endpoint, 0.0) + seconds

    def take(self) -> Counts:
        """The counts since they were last taken."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
        return counts


def answer_of(status: int) -> Answer:
    """The answer of a status."""
    if status in OF_STATUS:
        return OF_STATUS[status]
    if status >= 500:
        return Answer.SERVER_ERROR
    return Answer.CLIENT_ERROR if status >= 300 else Answer.OK


def endpoint_of(path: str) -> Endpoint:
    """The endpoint of a path of the API."""
    return Endpoint.DATA if path.startswith("/data/") else Endpoint.METADATA


counts = RequestCounts()
