"""The acts of operators, below any web request: each done once, for a reason, and written into the operator log."""

from __future__ import annotations

from pipeline.operations.commanding import go_on, start_run
from pipeline.operations.orders import Order, Refused, given_before, new_token, write_down
from pipeline.operations.rebuilding import rebuild_vintages
from pipeline.operations.reruns import (
    backfill,
    cancel,
    force_reingest,
    recompute,
    reingest,
    renormalize,
    retry_failed,
    run_now,
    still_failed,
)
from pipeline.operations.resolutions import pin, reevaluate, reopen, resolve, unpin

__all__ = [
    "Order",
    "Refused",
    "backfill",
    "cancel",
    "force_reingest",
    "given_before",
    "go_on",
    "new_token",
    "pin",
    "rebuild_vintages",
    "recompute",
    "reevaluate",
    "reingest",
    "renormalize",
    "reopen",
    "resolve",
    "retry_failed",
    "run_now",
    "start_run",
    "still_failed",
    "unpin",
    "write_down",
]
