"""Asynchronous requests: 202 and a place to ask, 202 while pending, then 200 with a link to the whole result.

FINRA documents the statuses, the Location (`/async-requests/{resource path}/{request id}`) and that the last reply links
to the result; the names in that reply are the service's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from tests.fake_finra.exchange import Asked, Reply, error_reply, json_reply
from tests.fake_finra.options import Options
from tests.fake_finra.throttle import Throttle

STATUS_PATH = "/async-requests"
RESULT_PATH = "/async-results"
AN_HOUR = 3600


@dataclass
class _Job:
    """A request under way; its result is made when it is fetched."""

    pending_polls: int
    result: Callable[[], Reply]


class Asynchronous:
    """The asynchronous requests under way, by their request ids."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._throttle = Throttle(options.asynchronous_per_hour, AN_HOUR)
        self._jobs: dict[str, _Job] = {}
        self._lock = Lock()

    def accept(self, asked: Asked, request_id: str, base: str, result: Callable[[], Reply]) -> Reply:
        """202 and where to ask; the throttle's status above 20 an hour for a dataset and an account or address."""
        account = asked.bearer or asked.client
        if not self._throttle.admits(f"{account}|{asked.dataset}"):
            return error_reply(self._options.throttle_status, "Too many asynchronous requests")
        with self._lock:
            self._jobs[request_id] = _Job(self._options.asynchronous_polls, result)
        return Reply(202, {"Location": f"{base}{STATUS_PATH}{asked.path}/{request_id}"})

    def poll(self, asked: Asked, base: str) -> Reply:
        """202 while pending, then 200 with the link."""
        request_id = asked.path.rpartition("/")[2]
        with self._lock:
            job = self._jobs.get(request_id)
            if job is None:
                return error_reply(404, "Unknown request")
            if job.pending_polls:
                job.pending_polls -= 1
                return Reply(202)
        return json_reply(200, {"status": "COMPLETED", "resultLink": f"{base}{RESULT_PATH}/{request_id}"})

    def result(self, asked: Asked) -> Reply:
        """The result; 404 for one that is unknown or still pending."""
        with self._lock:
            job = self._jobs.get(asked.path.rpartition("/")[2])
        if job is None or job.pending_polls:
            return error_reply(404, "Unknown result")
        return job.result()
