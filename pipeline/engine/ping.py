"""The dead man's switch: a service elsewhere is asked after each good weekly run, and raises an alarm when it is not.

It is the only alarm that survives the loss of the machine, the cluster and its Prometheus.
"""

from __future__ import annotations

import logging

import httpx2
from django.conf import settings

from pipeline.models import Run, RunStatus

logger = logging.getLogger(__name__)

TIMEOUT = httpx2.Timeout(5.0)
WEEKLY = "run_weekly"


def after(run: Run) -> None:
    """Ask the service after a good weekly run; a failure is logged, and does not change the run."""
    if not settings.MARKETSPINE_PING_URL or run.command != WEEKLY or run.status != RunStatus.SUCCEEDED:
        return
    try:
        httpx2.get(settings.MARKETSPINE_PING_URL, timeout=TIMEOUT, follow_redirects=False).raise_for_status()
    except httpx2.HTTPError as error:
        logger.warning("the ping after %s failed: %s", run, type(error).__name__, extra={"event": "ping_failed"})
