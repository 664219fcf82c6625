"""The alive file of a worker and of beat: touched while the process goes round, and read by the probe `alive.sh`.

A process that waits for the broker or the database is alive, too: restarting it would mend neither.
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
    """Show that the process `name` is alive. A folder that cannot be written to is a warning: the probe then fails."""
    path = Path(settings.MARKETSPINE_RUN_DIR) / f"{name}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        logger.warning("%s cannot be touched: %s", path, error.strerror)


class Rounds:
    """The rounds of this worker's consumer, whose loop exists only while it is connected."""

    def __init__(self) -> None:
        self._last: float | None = None

    def begin(self) -> None:
        """Note that the consumer is connected."""
        self._last = time.monotonic()

    def end(self) -> None:
        """Note that the consumer lost its connection: a new one may take as long as the broker is away."""
        self._last = None

    def go_on(self) -> None:
        """Note that the consumer's loop has come round."""
        if self._last is not None:
            self._last = time.monotonic()

    def is_stuck(self) -> bool:
        """Whether the loop should have come round by now."""
        return self._last is not None and time.monotonic() - self._last > STUCK_AFTER_SECONDS


rounds = Rounds()


class Beacon(bootsteps.StartStopStep):
    """A thread of the worker's main process that touches the file. It starts after the pool has forked its children."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, parent: Any) -> bool:
        """Not in an embedded worker: a command ends by itself, and `serve` answers /livez."""
        return not is_embedded(parent)

    def start(self, parent: Any) -> None:
        """Touch the file until the process ends, also during a warm shutdown, which lasts as long as its longest task."""
        name = parent.hostname.partition("@")[0]
        threading.Thread(target=_shine, args=(name, _is_alone(parent)), name="alive", daemon=True).start()


def _shine(name: str, is_alone: bool) -> None:
    while True:
        if is_alone or not rounds.is_stuck():
            touch(name)
        time.sleep(EVERY_SECONDS)


def _is_alone(worker: Any) -> bool:
    """Whether the loop stands still during a task, however long it takes: in the pool "solo"."""
    return isinstance(worker.pool, solo.TaskPool)


class Round(bootsteps.StartStopStep):
    """The consumer's part: notes each round of its loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, parent: Any) -> bool:
        """Only where there is a file."""
        return not is_embedded(parent)

    def start(self, parent: Any) -> None:
        """Begin with each connection to the broker."""
        rounds.begin()
        parent.timer.call_repeatedly(EVERY_SECONDS, rounds.go_on)

    def stop(self, parent: Any) -> None:
        """End when the connection is lost, or the worker stops."""
        rounds.end()


def is_embedded(part: Any) -> bool:
    """Whether a worker, or its consumer, takes its messages from this process's memory."""
    return bool(part.app.connection().transport.driver_type == "memory")
