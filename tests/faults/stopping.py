"""Mid-run, for certain: a worker that stops itself at a point (SIGSTOP), while something happens to what it works with."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.fleet import PATIENCE, Fleet

STOPPED = "T"


@contextmanager
def stopped_worker(fleet: Fleet, point: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that stands still at the point, "commit.before 2", during the block; then it goes on."""
    worker = fleet.worker(f"SIGSTOP {point}", **more)
    give_up = time.monotonic() + PATIENCE
    while _state(worker) != STOPPED:
        if worker.poll() is not None or time.monotonic() > give_up:
            raise TimeoutError(f"the worker does not come to {point}:\n{fleet.told()}")
        time.sleep(0.02)
    try:
        yield worker
    finally:
        worker.send_signal(signal.SIGCONT)


def _state(process: subprocess.Popen[str]) -> str:
    """The state letter of proc(5)."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
