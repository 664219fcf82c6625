"""The acts of operators, for the admin and the commands: each done once, for a reason, and written into the operator log."""

from __future__ import annotations

from pipeline.operations.annulling import annul
from pipeline.operations.backups import create_backup, drill_backup, finish_restoration, record_backup, restore_backup
from pipeline.operations.commanding import log_resumption, start_run
from pipeline.operations.notices import Matcher, end_silence, resend, silence, test_channel
from pipeline.operations.orders import Order, Refused, given_before, new_token, write_down
from pipeline.operations.pruning import mark_pruned, plan_pruning, remove_pruned, undo_pruning
from pipeline.operations.rebuilding import rebuild_vintages
from pipeline.operations.reruns import (
    backfill,
    cancel,
    force_reingest,
    recompute,
    reingest,
    renormalize,
    run_now,
)
from pipeline.operations.resolutions import pin, reevaluate, reopen, resolve, unpin
from pipeline.operations.resuming import resume, retry_failed, still_failed

__all__ = [
    "Matcher",
    "Order",
    "Refused",
    "annul",
    "backfill",
    "cancel",
    "create_backup",
    "drill_backup",
    "end_silence",
    "finish_restoration",
    "force_reingest",
    "given_before",
    "log_resumption",
    "mark_pruned",
    "new_token",
    "pin",
    "plan_pruning",
    "rebuild_vintages",
    "recompute",
    "record_backup",
    "reevaluate",
    "reingest",
    "remove_pruned",
    "renormalize",
    "reopen",
    "resend",
    "resolve",
    "restore_backup",
    "resume",
    "retry_failed",
    "run_now",
    "silence",
    "start_run",
    "still_failed",
    "test_channel",
    "undo_pruning",
    "unpin",
    "write_down",
]
