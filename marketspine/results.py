"""The counters of chords, in Redis. No process waits for a task's result: the ledger has it."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend


class Counters(RedisBackend):
    """Celery's Redis backend without its listening for results.

    Celery subscribes the sender of a chord to a channel for each of its tasks. While Redis is away, that raises a bare
    RuntimeError ("the Celery application must be restarted"), even from a destructor.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do not listen for the result of a task."""

    def add_pending_result(self, result: Any, weak: bool = False) -> Any:
        """Do not listen for the results of a group."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Nothing was listened for."""
        return result
