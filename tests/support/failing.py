"""Work that fails, or waits, at a named point of this process (`pipeline.checkpoints`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

from pipeline.checkpoints import listening


def acting_at(point: str, act: Callable[[], object], which: int | None = None) -> AbstractContextManager[None]:
    """Call `act` each time that the work comes to the point, or only the `which`-th time (from 1)."""
    calls = itertools.count(1)

    def hear(passed: str, _about: tuple[object, ...]) -> None:
        if passed == point and which in (None, next(calls)):
            act()

    return listening(hear)


def failing_at(point: str, error: BaseException, which: int | None = None) -> AbstractContextManager[None]:
    """Raise the error each time that the work comes to the point, or only the `which`-th time (from 1)."""

    def fail() -> None:
        raise error

    return acting_at(point, fail, which)
