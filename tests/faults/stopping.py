"""Mid-run, for certain: a worker that stops itself at a point (SIGSTOP), while something happens to what it works with."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.support.fleet import PATIENCE, Fleet

STOPPED = "T"
SESSIONS = """
    SELECT concat_ws(' ', pid, state, wait_event_type, wait_event, left(query, 200)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def stopped_worker(fleet: Fleet, point: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that stands still at the point, "commit.before 2", during the block; then it goes on."""
    worker = fleet.worker(f"SIGSTOP {point}", **more)
    give_up = time.monotonic() + PATIENCE
    while _state(worker) != STOPPED:
        if worker.poll() is not None or time.monotonic() > give_up:
            raise TimeoutError(f"the worker does not come to {point}:\n{_sessions()}\n{fleet.told()}")
        time.sleep(0.02)
    try:
        yield worker
    finally:
        worker.send_signal(signal.SIGCONT)


def _sessions() -> str:
    """What the other sessions of the test's database do, and wait for."""
    with connection.cursor() as cursor:
        cursor.execute(SESSIONS)
        return "\n".join(line for (line,) in cursor.fetchall())


def _state(process: subprocess.Popen[str]) -> str:
    """The state letter of proc(5)."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
