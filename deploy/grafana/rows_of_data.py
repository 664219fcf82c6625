"""Rows on the data: is all well, weeks, vintages, anomalies and readiness."""

from __future__ import annotations

from deploy.grafana.panels import (
    AGE_DAYS,
    ANY_IS_BAD,
    ANY_IS_ODD,
    CRITICAL,
    GRAVE,
    GREEN,
    ORANGE,
    RED,
    TIER,
    USE,
    Panel,
    Row,
    admin,
    age,
    gone_up,
    runbook,
    stat,
    top,
)

WELL = Row(
    "Is all well?",
    [
        stat(
            "Last good weekly run",
            "How long ago the last weekly run succeeded, by beat or by cron. Red where NoScheduledSuccess fires.",
            "s",
            age("run_last_success_timestamp_seconds", where='command="run_weekly"'),
            runbook("NoScheduledSuccess"),
            AGE_DAYS,
        ),
        stat(
            "Partitions overdue",
            "Partitions that are due by FINRA's calendar for more than a day and a half, and not captured.",
            "short",
            f"count({age('partition_unsettled_due_timestamp_seconds', 'tier', 'week_ending')} > 129600) or vector(0)",
            runbook("PartitionOverdue"),
            ANY_IS_BAD,
        ),
        stat(
            "Open: ERROR and above",
            "Anomalies of severity ERROR or CRITICAL that are not resolved. Each stands against its week.",
            "short",
            f"sum({top('anomalies_open', 'severity', 'category', where=GRAVE)})",
            admin("pipeline/anomaly/", "Open anomalies"),
            ANY_IS_ODD,
        ),
        stat(
            "Schedules owed",
            "Schedules with a slot that has passed without a run.",
            "short",
            f"count({top('schedule_owed_timestamp_seconds', 'schedule')}) or vector(0)",
            runbook("ScheduleMissed"),
            ANY_IS_ODD,
        ),
        stat(
            "Last backup",
            "How long ago the newest good backup ended. Red where BackupOld fires.",
            "s",
            age("backup_last_success_timestamp_seconds"),
            runbook("BackupOld"),
            ((None, GREEN), (26 * 3600, ORANGE), (36 * 3600, RED)),
        ),
        stat(
            "Ledger",
            "1 while the ledger can be read.",
            "short",
            top("ledger_up"),
            runbook("LedgerUnreadable"),
            ((None, RED), (1, GREEN)),
        ),
        Panel(
            "Newest week that may be used",
            "The newest week that is READY or PROVISIONAL, for each use.",
            "dateTimeAsIso",
            [(f"1000 * {top('newest_ready_week_timestamp_seconds', 'use', where=USE)}", "{{use}}")],
            runbook("WeekNotReady"),
            "stat",
            width=16,
            height=4,
        ),
        stat(
            "Workers live",
            "Machines whose workers have shown a sign of life of late; of an embedded engine the process itself.",
            "short",
            top("workers", where='state="live"'),
            runbook("WorkersSilent"),
            ((None, ORANGE), (1, GREEN)),
        ),
        stat(
            "Critical",
            "Anomalies of severity CRITICAL that are not resolved: look now.",
            "short",
            f"sum({top('anomalies_open', 'category', where=CRITICAL)})",
            runbook("CriticalAnomaly"),
            ANY_IS_BAD,
        ),
    ],
)
WEEKS = Row(
    "Weeks",
    [
        Panel(
            "Partitions by state",
            "The weeks that are watched, by what their partitions are found to be.",
            "short",
            [(f"sum by (state) ({top('partitions', 'tier', 'state', where=TIER)})", "{{state}}")],
            admin("", "Dashboard: weeks and tiers"),
            options={"stack": True},
        ),
        Panel(
            "Due and not captured",
            "How long each partition has been due.",
            "s",
            [
                (
                    age("partition_unsettled_due_timestamp_seconds", "tier", "week_ending", where=TIER),
                    "{{week_ending}} {{tier}}",
                )
            ],
            runbook("PartitionOverdue"),
            steps=((None, ORANGE), (3.5 * 86400, RED)),
        ),
        Panel(
            "Next due",
            "When FINRA publishes the next week, by its calendar.",
            "dateTimeAsIso",
            [(f"1000 * {top('tier_next_due_timestamp_seconds', 'tier', where=TIER)}", "{{tier}}")],
            admin("", "Dashboard: weeks and tiers"),
            "stat",
        ),
    ],
)
DATA = Row(
    "Data",
    [
        Panel(
            "Rows of the newest week",
            "A week resembles its neighbours: a step is worth a look.",
            "short",
            [(top("capture_rows", "tier", where=TIER), "{{tier}}")],
            admin("pipeline/capture/", "Captures"),
        ),
        Panel(
            "Rejected lines of the newest week",
            "Lines of the payload that are no rows, each with its reason in the ledger.",
            "short",
            [(top("capture_rows_rejected", "tier", where=TIER), "{{tier}}")],
            admin("pipeline/capture/", "Captures"),
            steps=((None, GREEN), (1, ORANGE)),
        ),
        Panel(
            "Captures, per week",
            "First captures, restatements, forced ones, and those of a newer parser.",
            "short",
            [(f"sum by (kind) ({gone_up('captures', 'tier', 'kind', over='7d', where=TIER)})", "{{kind}}")],
            admin("pipeline/capture/", "Captures"),
            options={"stack": True},
        ),
        Panel(
            "Rows of the newest restatement",
            "Rows that it added, changed and removed. FINRA restates few.",
            "short",
            [(top("capture_row_changes", "tier", "change", where=TIER), "{{tier}} {{change}}")],
            admin("pipeline/capture/", "Captures"),
        ),
        Panel(
            "How late the newest restatement was",
            "From the first capture of its week.",
            "s",
            [(top("restatement_lag_seconds", "tier", where=TIER), "{{tier}}")],
            admin("pipeline/capture/", "Captures"),
        ),
        Panel(
            "Payload of the newest week",
            "Its bytes, as fetched.",
            "bytes",
            [(top("capture_payload_bytes", "tier", where=TIER), "{{tier}}")],
            admin("pipeline/capture/", "Captures"),
        ),
    ],
)
JUDGED = Row(
    "Anomalies and readiness",
    [
        Panel(
            "Open anomalies",
            "By severity.",
            "short",
            [(f"sum by (severity) ({top('anomalies_open', 'severity', 'category')})", "{{severity}}")],
            admin("pipeline/anomaly/", "Anomalies"),
        ),
        Panel(
            "Opened, per day",
            "By category.",
            "short",
            [(f"sum by (category) ({gone_up('anomalies', 'severity', 'category', over='1d')})", "{{category}}")],
            admin("pipeline/anomaly/", "Anomalies"),
            options={"stack": True},
        ),
        Panel(
            "Verdicts",
            "The weeks that are watched, by use and state.",
            "short",
            [(top("readiness_verdicts", "use", "state", where=USE), "{{use}} {{state}}")],
            admin("pipeline/readiness/", "Readiness"),
        ),
    ],
)
