"""`python -m tests.faults.signalling`: a `manage.py` or `celery` that at a named point sends itself a signal, or waits.

SIGKILL capture.commit.make before 2 run_weekly --weeks 2025-11-14    at the entry of the second commit.make
SIGTERM runs.settle after 1 run_weekly ...                            at its exit
SIGKILL capture.commit.make before 2 celery -A marketspine worker ... the same in a worker, or in a child of its pool
SIGKILL capture.commit.make before 2025-11-14/OTC celery ...          at each call for that partition
MEET=FOLDER capture.commit.make before 1 run_weekly ...               goes on when two processes are at this point
HANG sources.files.FilesSource.fetch before 1 run_weekly ...          never goes on
DEAF vintages.payloads.read_fetched before 1 celery ...               never, whatever Celery's soft limit tells it

A point is a function or a method of `pipeline`, or of Celery: celery.worker.request.Request.acknowledge.
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
from typing import Any

import celery.bin.celery
import django
from django.core.management import execute_from_command_line

from pipeline.finra.calendar import PartitionKey
from pipeline.resilience import stopping

PATIENCE = 30
STOPPING = (signal.SIGTERM, signal.SIGINT)


def word(key: PartitionKey) -> str:
    """A partition as a point names it."""
    return f"{key.week_ending}/{key.tier}"


def main(what: str, point: str, when: str, which: str, *arguments: str) -> None:
    """Set the point up, then do what `manage.py` does."""
    django.setup()
    place, _, name = (point if point.startswith("celery.") else f"pipeline.{point}").rpartition(".")
    holder = pkgutil.resolve_name(place)
    setattr(holder, name, _wrapped(getattr(holder, name), _acting(what), when, which))
    if arguments[0] == "celery":
        celery.bin.celery.celery(args=list(arguments[1:]), prog_name="celery")
    execute_from_command_line(["manage.py", *arguments])


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


def _wrapped(function: Callable[..., Any], act: Callable[[], None], when: str, which: str) -> Callable[..., Any]:
    calls = itertools.count(1)

    @functools.wraps(function)
    def wrapped(*positional: Any, **named: Any) -> Any:
        keys = (getattr(each, "key", each) for each in positional)
        is_meant = which in {str(next(calls)), *(word(key) for key in keys if isinstance(key, PartitionKey))}
        if when == "before" and is_meant:
            act()
        result = function(*positional, **named)
        if when == "after" and is_meant:
            act()
        return result

    return wrapped


if __name__ == "__main__":
    main(*sys.argv[1:])
