"""The embedded engine: a Celery worker in threads of this process, over a queue in memory. It dies with the process.

`task_always_eager` would be simpler, but not faithful: errbacks never fire and retries break. Here the same canvas goes
through the same worker as on a fleet. A pool of threads has no time limits: sources have a deadline of their own.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import current_app
from celery.signals import task_postrun
from celery.worker import WorkController, state
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.memory import Channel, Transport

from pipeline.resilience import stopping

NO_BROKER = "memory://"  # the broker in the settings where the environment names none
PATIENCE = 30


class PromptTransport(Transport):
    """kombu's queue in memory, made prompt: its own looks for messages once a second, for the order to stop every two."""

    polling_interval = 0.01

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # type: ignore[override]
        """Wait only a moment for a message: the worker's loop then looks for the order to stop, and calls again."""
        super().drain_events(connection, timeout=0.05)


TRANSPORT_ALIASES["prompt-memory"] = f"{__name__}:{PromptTransport.__name__}"


@contextmanager
def engine() -> Iterator[Callable[[float], None]]:
    """A worker for the time of the block. On leaving, what is under way is finished, and what waits is forgotten.

    The broker of the environment is not used: this process sends to itself only. The block gets a sleep of so many seconds
    at most, which ends when a task does.
    """
    current_app.conf.update(
        broker_url="prompt-memory://localhost", result_backend="django-db", broker_transport_options={}
    )
    _forget_messages()
    try:
        with _sleep_until_a_task_ends() as sleep, _worker():
            yield sleep
    finally:
        _forget_messages()


@contextmanager
def _sleep_until_a_task_ends() -> Iterator[Callable[[float], None]]:
    ended = threading.Event()

    def sleep(seconds: float) -> None:
        ended.wait(seconds)
        ended.clear()

    def wake(**_: object) -> None:
        ended.set()

    task_postrun.connect(wake)
    try:
        yield sleep
    finally:
        task_postrun.disconnect(wake)


@contextmanager
def _worker() -> Iterator[None]:
    """A worker in a thread, ready when the block begins; when the block ends it finishes what is under way."""
    logger = logging.getLogger("pipeline")
    level = logger.level
    current_app.loader.init_worker()
    current_app.backend.cleanup()  # results older than a day: without beat no task removes them
    ready = threading.Event()
    thread = threading.Thread(target=_controller(ready).start, name="worker", daemon=True)
    state.should_stop = state.should_terminate = None
    thread.start()
    try:
        if not ready.wait(PATIENCE):
            raise RuntimeError("the embedded worker did not start")
        logger.setLevel(level)  # Celery has set Django up anew for its worker, which undoes what `-v` has set
        yield
    finally:
        stopping.order()
        state.should_stop = os.EX_OK  # type: ignore[assignment] # the stubs know only None
        thread.join()
        state.should_stop = None
        stopping.withdraw()


def _controller(ready: threading.Event) -> WorkController:
    return WorkController(
        app=current_app,
        pool_cls="threads",
        concurrency=settings.MARKETSPINE_THREADS,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        ready_callback=lambda _consumer: ready.set(),
    )


def _forget_messages() -> None:
    """Drop the messages in memory: the ledger has the work."""
    Channel.queues.clear()
