"""The order to stop: once this process has it, no partition begins, and those under way are finished.

It is a byte that the children of a worker's pool share with their parent: only the parent is told to stop, and it may
hold a message for an idle child. A signal's handler can write a byte safely, whatever it interrupts.
"""

from __future__ import annotations

import mmap

_order = mmap.mmap(-1, 1)


def order() -> None:
    """Let no further partition begin in this process and the children that it forks."""
    _order[0] = 1


def withdraw() -> None:
    """Let partitions begin again, for the next command or engine of the same process."""
    _order[0] = 0


def is_ordered() -> bool:
    """Whether no partition may begin any more."""
    return bool(_order[0])
