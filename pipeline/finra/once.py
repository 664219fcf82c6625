"""A property that is computed when it is first asked for, and kept.

`functools.cached_property` of Python 3.11 computes under one lock for all instances: the threads of the embedded worker
would hash and read their payloads one after the other. Here two threads that ask at once both compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - it is used as `property` is
    """A method that becomes the value that it returned; its instances have a `__dict__`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:
        """Compute it; the instance's own attribute of that name comes first from then on."""
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
