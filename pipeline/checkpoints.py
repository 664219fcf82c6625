"""Named points of the work: a test listens there to kill the process, to hang it or to have the work fail.

A point is named for what happens, `commit.before` say, and not for the function that does it: code can move. Without a
listener a point costs one comparison.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[str, tuple[object, ...]], None]  # the point, and what the work is about

_listeners: list[Listener] = []


def checkpoint(point: str, *about: object) -> None:
    """Tell a listener that the work has come to a point. An error that the listener raises is one of the work."""
    for listener in _listeners:
        listener(point, about)


def checkpoints(work: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function pass the points `work.before` and, when it succeeds, `work.after`; they are about its arguments."""

    def with_checkpoints(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _listeners:
                return function(*args, **kwargs)
            checkpoint(f"{work}.before", *args)
            result = function(*args, **kwargs)
            checkpoint(f"{work}.after", *args)
            return result

        return wrapped

    return with_checkpoints


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a listener hear of all points that the threads of this process pass during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
