"""The alive file of a worker and of beat: touched while the process goes round, and read by the probe `alive.sh`.

It says nothing of the broker or the database: a process that waits for them is alive, and restarting it would mend neither.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.concurrency import solo
from django.conf import settings

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15
STUCK_AFTER_SECONDS = 90  # the consumer's loop has not come round for so long
SUFFIX = ".alive"


def touch(name: str) -> None:
    """Say that the process `name` is alive. A folder that cannot be written is warned of: the probe then fails, too."""
    path = Path(settings.MARKETSPINE_RUN_DIR) / f"{name}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        logger.warning("%s cannot be touched: %s", path, error.strerror)


class Rounds:
    """Whether the consumer of this worker comes round: only while it is connected has it a loop."""

    def __init__(self) -> None:
        self._last: float | None = None

    def begin(self) -> None:
        """The consumer is connected."""
        self._last = time.monotonic()

    def end(self) -> None:
        """The consumer has lost its connection, and makes another: that takes as long as the broker is away."""
        self._last = None

    def go_on(self) -> None:
        """The consumer's loop has come round."""
        if self._last is not None:
            self._last = time.monotonic()

    def is_stuck(self) -> bool:
        """Whether the loop ought to have come round by now."""
        return self._last is not None and time.monotonic() - self._last > STUCK_AFTER_SECONDS


rounds = Rounds()


class Beacon(bootsteps.StartStopStep):
    """A thread of the worker's main process that touches the file. It begins after the pool: no child is forked with it."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, parent: Any) -> bool:
        """A worker in a command has no file: the command ends by itself, and `serve` answers /livez."""
        return not is_embedded(parent)

    def start(self, parent: Any) -> None:
        """Touch the file until the process ends: a warm shutdown may take as long as its longest task."""
        name = parent.hostname.partition("@")[0]
        threading.Thread(target=_shine, args=(name, _is_alone(parent)), name="alive", daemon=True).start()


def _shine(name: str, is_alone: bool) -> None:
    while True:
        if is_alone or not rounds.is_stuck():
            touch(name)
        time.sleep(EVERY_SECONDS)


def _is_alone(worker: Any) -> bool:
    """Whether the loop stands still while a task is worked on, however long that takes: the pool "solo"."""
    return isinstance(worker.pool, solo.TaskPool)


class Round(bootsteps.StartStopStep):
    """The consumer's part: its loop says each time that it comes round."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, parent: Any) -> bool:
        """Where there is a file."""
        return not is_embedded(parent)

    def start(self, parent: Any) -> None:
        """With each connection to the broker."""
        rounds.begin()
        parent.timer.call_repeatedly(EVERY_SECONDS, rounds.go_on)

    def stop(self, parent: Any) -> None:
        """The connection is lost, or the worker stops."""
        rounds.end()


def is_embedded(part: Any) -> bool:
    """Whether a worker, or its consumer, works on a queue in the memory of this process."""
    return bool(part.app.connection().transport.driver_type == "memory")
