"""`python -m tests.faults.signalling`: a `manage.py` or `celery` that at a named point sends itself a signal, or waits.

SIGKILL commit.before 2 run_weekly --weeks 2025-11-14        when it comes to the point for the second time
SIGTERM run.settle.after 1 run_weekly ...
SIGKILL commit.before 2 celery -A marketspine worker ...     the same in a worker, or in a child of its pool
SIGKILL commit.before 2025-11-14/OTC celery ...              each time that it is there for that partition
MEET=FOLDER commit.before 1 run_weekly ...                   goes on when two processes are at this point
HANG fetch.before 1 run_weekly ...                           never goes on
DEAF commit.before 1 celery ...                              never, whatever Celery's soft limit tells it

A point is one of `pipeline.checkpoints`, or before or after a function of Celery:
celery.worker.request.Request.acknowledge.before.
"""

from __future__ import annotations

import functools
import itertools
import os
import pkgutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import celery.bin.celery
import django
from django.core.management import execute_from_command_line

from pipeline.checkpoints import Listener, checkpoints, listening
from pipeline.finra.calendar import PartitionKey
from pipeline.resilience import stopping

PATIENCE = 120
STOPPING = (signal.SIGTERM, signal.SIGINT)


def word(key: PartitionKey) -> str:
    """A partition as a point names it."""
    return f"{key.week_ending}/{key.tier}"


def main(what: str, point: str, which: str, *arguments: str) -> None:
    """Listen at the point, then do what `manage.py` does."""
    django.setup()
    if point.startswith("celery."):
        _mark(point.rpartition(".")[0])
    with listening(_listener(point, which, _acting(what))):
        if arguments[0] == "celery":
            celery.bin.celery.celery(args=list(arguments[1:]), prog_name="celery")
        execute_from_command_line(["manage.py", *arguments])


def _mark(function: str) -> None:
    """Have a function of Celery pass points as those of `pipeline` do."""
    place, _, name = function.rpartition(".")
    holder = pkgutil.resolve_name(place)
    setattr(holder, name, checkpoints(function)(getattr(holder, name)))


def _listener(point: str, which: str, act: Callable[[], None]) -> Listener:
    calls = itertools.count(1)

    def hear(passed: str, about: tuple[object, ...]) -> None:
        if passed != point:
            return
        keys = (getattr(each, "key", each) for each in about)
        if which in {str(next(calls)), *(word(key) for key in keys if isinstance(key, PartitionKey))}:
            act()

    return hear


def _acting(what: str) -> Callable[[], None]:
    if what.startswith("MEET="):
        return functools.partial(_meet, Path(what.removeprefix("MEET=")))
    if what in HANGING:
        return HANGING[what]
    return functools.partial(_signal, getattr(signal, what))


def _signal(number: signal.Signals) -> None:
    """Send it to this process; go on when the order is heard, in the main thread, when that has its turn."""
    os.kill(os.getpid(), number)
    if number in STOPPING:
        _until(stopping.is_ordered, "the order to stop is not heard")


def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > give_up:
            raise TimeoutError(otherwise)
        time.sleep(0.002)


def _meet(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    _until(lambda: len(list(folder.iterdir())) > 1, "the other process did not come to the meeting")


def _hang() -> None:
    threading.Event().wait()


def _hang_deaf() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    _hang()


HANGING = {"HANG": _hang, "DEAF": _hang_deaf}


if __name__ == "__main__":
    main(*sys.argv[1:])
