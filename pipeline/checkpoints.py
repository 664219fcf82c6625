"""Named points of the work, at which a test kills the process, hangs it, or makes the work fail.

A point is named for the event, such as `commit.before`, and not for the function, so that code can move. Without a
listener it costs one comparison.
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
    """Tell the listeners that the work has reached a point. An error that a listener raises becomes the work's."""
    for listener in _listeners:
        listener(point, about)


def checkpoints(work: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function pass the points `work.before` and, when it succeeds, `work.after`, each with its arguments."""

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
    """Let a listener hear of all points that the threads of this process pass during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
