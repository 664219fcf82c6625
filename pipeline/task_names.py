"""The names of the tasks in messages, schedules and routes. The tasks themselves are in `pipeline.tasks`."""

from __future__ import annotations

PROCESS_PARTITION = "pipeline.process_partition"
CLOSE_WEEK = "pipeline.close_week"
RECOVER = "pipeline.recover"
SWEEP = "pipeline.sweep"
START_SCHEDULED = "pipeline.start_scheduled"
CHECK_UP = "pipeline.check_up"
CHECK_ARCHIVE = "pipeline.check_archive"
PLAN_PRUNING = "pipeline.plan_pruning"
REMOVE_PRUNED = "pipeline.remove_pruned"
SEND_NOTICES = "pipeline.send_notices"
