"""The product's workers and commands, which also log how long each of Celery's tasks took.

celery -A benchmarks.traced worker ...
python -m benchmarks.traced backfill ...
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.core.management import execute_from_command_line

from marketspine.celery import app

__all__ = ["app"]

logger = logging.getLogger("pipeline.traced")
_begun: dict[str, float] = {}


@task_prerun.connect
def begin(task_id: str, **_signal: Any) -> None:
    """A task begins."""
    _begun[task_id] = time.perf_counter()


@task_postrun.connect
def end(task_id: str, task: Any, **_signal: Any) -> None:
    """A task has ended, its chord told."""
    logger.info("task %s took %.6f s", task.name, time.perf_counter() - _begun.pop(task_id))


if __name__ == "__main__":
    execute_from_command_line(sys.argv)
