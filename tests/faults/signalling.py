"""`python -m tests.faults.signalling`: a `manage.py` or `celery` that at a named point sends itself a signal, or waits.

SIGKILL captures.make before 2 run_weekly --weeks 2025-11-14    at the entry of the second captures.make
SIGTERM runs.settle after 1 run_weekly ...                      at its exit
SIGKILL captures.make before 2 celery -A marketspine worker ...   the same in a worker
MEET=FOLDER captures.make before 1 run_weekly ...               goes on when two processes are at this point
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery.bin.celery
import django
from django.core.management import execute_from_command_line

PATIENCE = 30


def main(what: str, point: str, when: str, nth: str, *arguments: str) -> None:
    """Set the point up, then do what `manage.py` does."""
    django.setup()
    module_name, _, function_name = point.partition(".")
    module = importlib.import_module(f"pipeline.{module_name}")
    act = _acting(what)
    setattr(module, function_name, _wrapped(getattr(module, function_name), act, when, int(nth)))
    if arguments[0] == "celery":
        celery.bin.celery.celery(args=list(arguments[1:]), prog_name="celery")
    execute_from_command_line(["manage.py", *arguments])


def _acting(what: str) -> Callable[[], None]:
    if what.startswith("MEET="):
        return functools.partial(_meet, Path(what.removeprefix("MEET=")))
    return functools.partial(os.kill, os.getpid(), getattr(signal, what))


def _meet(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + PATIENCE
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > until:
            raise TimeoutError("the other process did not come to the meeting")
        time.sleep(0.002)


def _wrapped(function: Callable[..., Any], act: Callable[[], None], when: str, nth: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    @functools.wraps(function)
    def wrapped(*positional: Any, **named: Any) -> Any:
        call = next(calls)
        if when == "before" and call == nth:
            act()
        result = function(*positional, **named)
        if when == "after" and call == nth:
            act()
        return result

    return wrapped


if __name__ == "__main__":
    main(*sys.argv[1:])
