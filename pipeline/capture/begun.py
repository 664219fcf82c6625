"""Work that is begun before its result is asked for, which is where its error is raised, too."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin some work in a thread that ends with it; returns what waits for its result.

    The work asks the ledger nothing: each thread has a connection of its own to it.
    """
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future.result


def done(work: Callable[[], T], *errors: type[Exception]) -> Callable[[], T]:
    """Do some work now; returns what gives its result, or raises its error where that is one of `errors`."""
    future = Future[T]()
    try:
        future.set_result(work())
    except errors as error:
        future.set_exception(error)
    return future.result
