"""Liveness: a token per execution, heartbeats, and whether the process that left a token behind is alive."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from marketspine import logs
from pipeline.checkpoints import checkpoints
from pipeline.models import (
    Run,
    RunPartition,
    RunStatus,
)
from pipeline.resilience import clock, stopping

# They tell machines and containers of the same name apart: a process number has a meaning within one of them only.
BOOT, PROCESSES = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")

BEATS_UNTIL_STALE = 6
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 0.5

_working: set[str] = set()


@cache
def machine() -> str:
    """The place where this process's number means something: the host, its boot and its process namespace."""
    try:
        place = BOOT.read_text(encoding="ascii") + os.readlink(PROCESSES)
    except OSError:  # not on Linux
        place = ""
    return f"{socket.gethostname()}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


@contextmanager
def working() -> Iterator[str]:
    """A token for an execution, during the block: "machine:pid:nonce"."""
    token = f"{machine()}:{os.getpid()}:{secrets.token_hex(4)}"
    _working.add(token)
    try:
        yield token
    finally:
        _working.discard(token)


def is_known_dead(token: str) -> bool:
    """Whether the execution that `token` names has ended for certain. False where it ran on another machine."""
    place, pid, _ = token.rsplit(":", 2)
    if place != machine():
        return False
    if int(pid) == os.getpid():
        return token not in _working
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def beat_seconds() -> float:
    """How long after a sign of life the next one is due."""
    return float(settings.MARKETSPINE_STALE_AFTER_SECONDS / BEATS_UNTIL_STALE)


def is_beat_due(run: Run) -> bool:
    """Whether a run is to show its next sign of life. A clock may have been set back since the last one."""
    return abs(timezone.now() - run.heartbeat_at) > timedelta(seconds=beat_seconds())


@contextmanager
def beating(beat: Callable[[], bool], every: float) -> Iterator[None]:
    """Call `beat` from a thread every `every` seconds during the block, however long one call in the block takes.

    `beat` returns whether it could be given. If not, it is given again after a second: so all live workers are seen soon
    after the database is back.
    """
    done = threading.Event()
    work = logs.carried(partial(_beat_until, done, beat, every))
    thread = threading.Thread(target=work, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat_until(done: threading.Event, beat: Callable[[], bool], every: float) -> None:
    given, ordered = True, False  # an order to stop that came since the claim is not written yet
    while not _is_done(done, every if given else min(every, AGAIN_SECONDS), ordered):
        ordered = stopping.is_ordered()
        given = beat()


def _is_done(done: threading.Event, seconds: float, ordered: bool) -> bool:
    """Wait for the end of the work, `seconds` at most; less when the order to stop comes, to write it at once."""
    looks = max(1, round(seconds / LOOK_SECONDS))
    for _ in range(looks):
        if done.wait(seconds / looks):
            return True
        if stopping.is_ordered() and not ordered:
            return False
    return False


def is_dead(run: Run) -> bool:
    """Whether the process that executes a run has died. A run that belongs to the queue outlives every process."""
    if run.status != RunStatus.RUNNING or not run.worker:
        return False
    return _has_ended(run.worker, run.heartbeat_at)


@checkpoints("stalled.check")
def is_stalled(step: RunPartition) -> bool:
    """Whether the execution that has the partition under way ended without an outcome."""
    return _has_ended(step.worker, step.heartbeat_at)


def _has_ended(token: str, heartbeat_at: datetime | None) -> bool:
    """Whether an execution is known to be dead, or has given no heartbeat for too long."""
    stale = timedelta(seconds=settings.MARKETSPINE_STALE_AFTER_SECONDS)
    alive = heartbeat_at is not None and clock.is_sign_of_life(heartbeat_at, timezone.now(), stale)
    return not alive or is_known_dead(token)
