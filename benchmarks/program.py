"""A benchmark as a program: told to end, it ends with all that it started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Never

ORDERS = (signal.SIGTERM, signal.SIGHUP)


def run(main: Callable[[], int | None]) -> Never:
    """Run a benchmark, and exit with its code.

    Python dies of these signals on the spot: servers, workers and folders would stay. So they leave every block that is
    open, as Ctrl-C does.
    """
    for order in ORDERS:
        signal.signal(order, _end)
    sys.exit(main())


def _end(order: int, _frame: FrameType | None) -> Never:
    for one in ORDERS:
        signal.signal(one, signal.SIG_IGN)  # nothing interrupts the ending
    sys.exit(128 + order)
