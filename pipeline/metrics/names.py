"""Every metric that there is: its name, its kind, its labels, its meaning. Rules and dashboard name no other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "marketspine_"


class MetricKind(StrEnum):
    """The kinds of metrics in Prometheus."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `name` is without the prefix, and ends in `_total` for a counter."""

    name: str
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """The name in Prometheus."""
        return f"{PREFIX}{self.name}"


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, MetricKind.GAUGE, meaning, labels)


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"{name}_total", MetricKind.COUNTER, meaning, labels)


EXPORTER = (
    _gauge("build_info", "1, with what runs", "version", "python", "database", "engine", "source", "storage"),
    _gauge("ledger_up", "1 while the ledger can be read, 0 while it cannot"),
    _gauge("ledger_read_duration_seconds", "How long the last reading of the ledger took"),
    _gauge("ledger_read_timestamp_seconds", "When the ledger was last read"),
)
RUNS = (
    _gauge("migrations_pending", "Migrations of this code that the database lacks"),
    _gauge("engine_distributed", "1 with a broker, 0 where everything is one process"),
    _gauge("runs_open", "Runs under way", "trigger"),
    _gauge("run_open_oldest_progress_timestamp_seconds", "Newest sign of life of the oldest run under way"),
    _gauge("run_last_start_timestamp_seconds", "When the newest run started", "trigger", "command"),
    _gauge("run_last_success_timestamp_seconds", "When the newest good run ended", "trigger", "command"),
    _gauge("run_last_finish_timestamp_seconds", "When the newest run to end ended", "trigger", "command"),
    _gauge("run_last_duration_seconds", "How long the newest run to end took", "trigger", "command"),
    _counter("runs_finished", "Runs that ended", "trigger", "command", "status"),
    _gauge("work_partitions", "Partitions of the runs under way that are not done", "status"),
    _gauge("work_oldest_pending_timestamp_seconds", "Since when the oldest partition waits to be begun"),
    _counter("work_attempts", "Tries at partitions: done, retried, worker_lost, stalled", "outcome"),
)
PARTITIONS = (
    _gauge("partitions", "Partitions of the weeks that are watched", "tier", "state"),
    _gauge(
        "partition_unsettled_due_timestamp_seconds",
        "Since when a partition is due and not captured",
        "tier",
        "week_ending",
    ),
    _counter("partition_outcomes", "What became of partitions in runs", "tier", "outcome"),
    _gauge("partition_stage_seconds", "What the newest partition took: queue, fetch, parse, store", "tier", "stage"),
    _gauge("newest_captured_week_timestamp_seconds", "The newest week that is captured, by its Friday in UTC", "tier"),
    _gauge("tier_next_due_timestamp_seconds", "When the next week is due, by FINRA's calendar", "tier"),
)
CAPTURES = (
    _counter("captures", "Captures made", "tier", "kind"),
    _gauge("capture_rows", "Rows of the newest week's capture", "tier"),
    _gauge("capture_rows_rejected", "Lines of the newest week's payload that are no rows", "tier"),
    _gauge("capture_payload_bytes", "Bytes of the newest week's payload", "tier"),
    _gauge("capture_row_changes", "Rows that the newest restatement added, changed, removed", "tier", "change"),
    _gauge("restatement_lag_seconds", "From the first capture of a week to its newest restatement", "tier"),
)
ANOMALIES = (
    _gauge("anomalies_open", "Anomalies that nobody has resolved", "severity", "category"),
    _gauge("anomaly_oldest_open_timestamp_seconds", "When the oldest open anomaly was first seen", "severity"),
    _counter("anomalies", "Anomalies opened", "severity", "category"),
)
READINESS = (
    _gauge("readiness_verdicts", "Weeks that are watched, by what they may be used for", "use", "state"),
    _gauge("newest_ready_week_timestamp_seconds", "The newest week that may be used, by its Friday in UTC", "use"),
    _gauge("newest_due_week_timestamp_seconds", "The newest week of which every tier is due, by its Friday in UTC"),
    _gauge("readiness_decided_timestamp_seconds", "When a verdict was last decided"),
)
SCHEDULES = (
    _gauge("schedule_enabled", "1 while a schedule is on", "schedule"),
    _gauge("schedule_invalid", "1 while a schedule asks for what cannot be", "schedule"),
    _gauge("schedule_next_slot_timestamp_seconds", "The next slot of a schedule", "schedule"),
    _gauge("schedule_last_slot_timestamp_seconds", "The last slot of a schedule", "schedule"),
    _gauge("schedule_owed_timestamp_seconds", "The slot for which no run has started", "schedule"),
    _gauge("schedule_consecutive_failures", "Runs of a schedule that failed since its last good one", "schedule"),
)
ENGINE = (
    _gauge("worker_last_seen_timestamp_seconds", "The newest sign of life of a worker"),
    _gauge("workers", "Machines whose workers are live or silent; silent for a day they are dropped", "state"),
    _gauge("beat_last_fired_timestamp_seconds", "When beat last sent anything"),
    _gauge("broker_up", "1 while the broker answers"),
    _gauge("queue_length", "Messages that wait in a queue, of all priorities", "queue"),
)
FINRA = (
    _counter("finra_requests", "Requests to FINRA", "endpoint", "outcome"),
    _counter("finra_response_bytes", "Bytes of FINRA's replies, decompressed", "endpoint"),
    _counter("finra_wait_seconds", "How long requests waited for their place in the rate", "endpoint"),
    _gauge("finra_last_success_timestamp_seconds", "When something was last fetched"),
    _gauge("finra_held_until_timestamp_seconds", "Until when FINRA has asked to wait"),
)
NOTICES = (
    _gauge("notifications", "Deliveries of notices", "state"),
    _gauge("notification_oldest_pending_timestamp_seconds", "Since when the oldest delivery waits"),
    _gauge("notification_last_success_timestamp_seconds", "When a channel last took a notice", "channel"),
    _counter("notification_attempts", "Tries to deliver: sent, retry, permanent", "channel", "outcome"),
)
KEEPING = (
    _gauge("archive_bytes", "Bytes of the archive, by the ledger", "shelf"),
    _gauge("archive_files", "Files of the archive, by the ledger", "shelf"),
    _gauge("archive_damaged_files", "Files of the archive found missing or damaged when last looked at", "shelf"),
    _gauge("archive_verified_timestamp_seconds", "When an archived file was last read whole"),
    _gauge("database_size_bytes", "The size of the database"),
    _gauge("volume_size_bytes", "The size of a volume of this machine", "volume"),
    _gauge("volume_free_bytes", "What is free on a volume of this machine", "volume"),
    _gauge("prune_last_success_timestamp_seconds", "When retention last removed something"),
    _gauge("prune_items", "Captures that retention has marked, or must not remove", "state"),
    _counter("prune_removed", "Files that retention removed", "kind"),
    _counter("prune_freed_bytes", "Bytes that retention removed"),
    _gauge("backup_expected", "1 where backups are made by this product"),
    _gauge("backup_last_success_timestamp_seconds", "When the newest good backup ended"),
    _gauge("backup_last_duration_seconds", "How long the newest good backup took"),
    _gauge("backup_last_bytes", "The size of the newest good backup"),
    _gauge("restore_drill_last_success_timestamp_seconds", "When a restore was last proved by a drill"),
)
PEOPLE = (
    _gauge("logins_locked", "Names and addresses that have to wait after wrong passwords"),
    _counter("operator_acts", "What people did", "act", "outcome"),
)
METRICS = (
    *EXPORTER,
    *RUNS,
    *PARTITIONS,
    *CAPTURES,
    *ANOMALIES,
    *READINESS,
    *SCHEDULES,
    *ENGINE,
    *FINRA,
    *NOTICES,
    *KEEPING,
    *PEOPLE,
)
BY_NAME = {metric.name: metric for metric in METRICS}
