"""What several answers of one page ask alike is asked of the ledger once: they say the same, and cost less.

A page that shows a market, its venues and its symbols would ask six times how far the feed has come. Outside a page each
call asks anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
_told: ContextVar[dict[Hashable, object] | None] = ContextVar("told", default=None)


@contextmanager
def one_page() -> Iterator[None]:
    """Within, a function that is marked `once` says of the same arguments what it said before."""
    token = _told.set({})
    try:
        yield
    finally:
        _told.reset(token)


def once(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function of hashable arguments. Those who get its value leave it as it is."""

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        told = _told.get()
        if told is None:
            return function(*args, **kwargs)
        key = (asked, args, tuple(kwargs.items()))
        if key not in told:
            told[key] = function(*args, **kwargs)
        return cast(R, told[key])

    return asked
