"""A deadline on a source: one that hangs ends as a failure that may pass, in every engine.

Celery's time limits do not exist in a pool of threads, and kill the process in the other pools.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from datetime import date
from typing import Generic, TypeVar

from pipeline.checkpoints import checkpoints
from pipeline.finra.calendar import PartitionKey
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import Asking, Source, SourceError, Standing, TransientSourceError

Answer = TypeVar("Answer")


class Deadline:
    """A source with a limit of seconds for each call.

    A call that hangs longer goes on hanging in a daemon thread, which does not keep the process from ending.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self.name, self.is_near = source.name, source.is_near
        self._source = source
        self._seconds = seconds

    def available(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """The source's answer; TransientSourceError when it does not come in time."""
        return self._within(lambda: self._source.available(keys))

    def fetch(self, key: PartitionKey) -> Payload:
        """The source's payload; TransientSourceError when it does not come in time."""
        return self._within(lambda: _fetch(self._source, key))

    def standing(self, key: PartitionKey, since: date, *, totals_too: bool) -> Standing:
        """The state of a partition at the source; SourceError for a source that cannot be probed."""
        source = self._source
        if not isinstance(source, Asking):
            raise SourceError(f"the source {self.name!r} cannot be asked whether something moved: capture it instead")
        return self._within(lambda: source.standing(key, since, totals_too=totals_too))

    def _within(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return within(self._seconds, ask, f"source {self.name}")
        except OutOfTime:
            message = f"the source {self.name!r} did not answer within {self._seconds:g} seconds"
            raise TransientSourceError(message) from None


class OutOfTime(Exception):
    """There was no answer in time."""


def within(seconds: float, ask: Callable[[], Answer], name: str) -> Answer:
    """Return what `ask` returns, or raise what it raises; OutOfTime when it takes longer than `seconds`."""
    call = _Call(ask, name)
    call.start()
    call.join(seconds)
    if call.is_alive():
        raise OutOfTime
    return call.result()


@checkpoints("fetch")
def _fetch(source: Source, key: PartitionKey) -> Payload:
    return source.fetch(key)


class _Call(threading.Thread, Generic[Answer]):
    """A call in a daemon thread."""

    def __init__(self, ask: Callable[[], Answer], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._ask = ask
        self._answer: Future[Answer] = Future()

    def run(self) -> None:
        """Ask, and keep the answer or the error."""
        try:
            self._answer.set_result(self._ask())
        except BaseException as error:
            self._answer.set_exception(error)

    def result(self) -> Answer:
        """Return the answer of the call, or raise its error; only once it has ended."""
        return self._answer.result(timeout=0)
