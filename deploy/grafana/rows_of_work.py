"""Rows on the work: runs, FINRA, the engine."""

from __future__ import annotations

from deploy.grafana.panels import (
    AGE_DAYS,
    FAILED_REQUEST,
    GREEN,
    ORANGE,
    RED,
    THROTTLED,
    TIER,
    Panel,
    Row,
    admin,
    age,
    gone_up,
    runbook,
    top,
)

RUNS = Row(
    "Runs",
    [
        Panel(
            "Runs that ended, per day",
            "By status. FAILED: a due partition is not good.",
            "short",
            [
                (
                    f"sum by (status) ({gone_up('runs_finished', 'trigger', 'command', 'status', over='1d')})",
                    "{{status}}",
                )
            ],
            admin("pipeline/run/", "Runs"),
            options={"stack": True},
        ),
        Panel(
            "How long runs take",
            "The newest run to end, for each command and trigger.",
            "s",
            [(top("run_last_duration_seconds", "command", "trigger"), "{{command}} {{trigger}}")],
            admin("pipeline/run/", "Runs"),
        ),
        Panel(
            "Work",
            "Partitions of the runs under way that are not done. Retrying: a try failed, and the next one is to come.",
            "short",
            [(top("work_partitions", "status"), "{{status}}")],
            runbook("WorkStalled"),
            options={"stack": True},
        ),
        Panel(
            "Tries at partitions, per day",
            "done, retried after an error that may pass, worker_lost, stalled (given up).",
            "short",
            [(gone_up("work_attempts", "outcome", over="1d"), "{{outcome}}")],
            admin("pipeline/run/", "Runs"),
        ),
        Panel(
            "What became of partitions, per day",
            "The outcomes of partitions in runs.",
            "short",
            [
                (
                    f"sum by (outcome) ({gone_up('partition_outcomes', 'tier', 'outcome', over='1d', where=TIER)})",
                    "{{outcome}}",
                )
            ],
            admin("pipeline/run/", "Runs"),
        ),
        Panel(
            "Oldest run under way",
            "How long ago the oldest run under way last moved. RunStuck fires at half an hour.",
            "s",
            [(age("run_open_oldest_progress_timestamp_seconds"), "since it moved")],
            runbook("RunStuck"),
            steps=((None, GREEN), (1800, ORANGE)),
        ),
    ],
)
FINRA = Row(
    "FINRA",
    [
        Panel(
            "Requests",
            "Requests to FINRA, by what came of them.",
            "short",
            [(f"sum by (outcome) ({gone_up('finra_requests', 'endpoint', 'outcome')})", "{{outcome}}")],
            runbook("FinraFailing"),
            options={"stack": True},
        ),
        Panel(
            "Share that fails",
            "Of the last six hours. FinraFailing fires above a quarter, from 20 failures on.",
            "percentunit",
            [
                (
                    f"sum({gone_up('finra_requests', 'endpoint', 'outcome', over='6h', where=FAILED_REQUEST)}) "
                    f"/ sum({gone_up('finra_requests', 'endpoint', 'outcome', over='6h')})",
                    "failed",
                )
            ],
            runbook("FinraFailing"),
            steps=((None, GREEN), (0.25, RED)),
        ),
        Panel(
            "Throttled",
            "Requests that FINRA answered with 429, in an hour.",
            "short",
            [
                (
                    f"sum({gone_up('finra_requests', 'endpoint', 'outcome', over='1h', where=THROTTLED)})",
                    "429",
                )
            ],
            runbook("FinraThrottled"),
            steps=((None, GREEN), (10, ORANGE)),
        ),
        Panel(
            "Waited for the rate",
            "How long requests waited for their place, in seconds of each second.",
            "s",
            [(f"sum by (endpoint) ({gone_up('finra_wait_seconds', 'endpoint')})", "{{endpoint}}")],
            runbook("FinraThrottled"),
        ),
        Panel(
            "Bytes",
            "What FINRA's replies held.",
            "bytes",
            [(gone_up("finra_response_bytes", "endpoint"), "{{endpoint}}")],
            runbook("FinraFailing"),
        ),
        Panel(
            "Last fetched",
            "How long ago something was last fetched from any source.",
            "s",
            [(age("finra_last_success_timestamp_seconds"), "fetched")],
            runbook("FinraFailing"),
            "stat",
            steps=AGE_DAYS,
        ),
    ],
)
ENGINE = Row(
    "Engine",
    [
        Panel(
            "Schedules: next slot",
            "When each schedule fires next.",
            "dateTimeAsIso",
            [(f"1000 * {top('schedule_next_slot_timestamp_seconds', 'schedule')}", "{{schedule}}")],
            admin("django_celery_beat/periodictask/", "Schedules"),
            "stat",
        ),
        Panel(
            "Schedules: failures in a row",
            "Runs of each schedule that failed since its last good one. ScheduledRunFailing fires at two.",
            "short",
            [(top("schedule_consecutive_failures", "schedule"), "{{schedule}}")],
            runbook("ScheduledRunFailing"),
            steps=((None, GREEN), (2, ORANGE)),
        ),
        Panel(
            "Signs of life",
            "How long beat and the workers have been silent.",
            "s",
            [
                (age("beat_last_fired_timestamp_seconds"), "beat"),
                (age("worker_last_seen_timestamp_seconds"), "workers"),
            ],
            runbook("BeatSilent"),
            steps=((None, GREEN), (600, RED)),
        ),
        Panel(
            "Queues",
            "Messages that wait, of all priorities. Only with a broker.",
            "short",
            [(top("queue_length", "queue"), "{{queue}}")],
            runbook("WorkStalled"),
        ),
        Panel(
            "Stages of the newest partition",
            "How long it waited, was fetched, read and stored.",
            "s",
            [(top("partition_stage_seconds", "tier", "stage", where=TIER), "{{tier}} {{stage}}")],
            admin("pipeline/run/", "Runs"),
        ),
        Panel(
            "Broker",
            "1 while Redis answers. Only with a broker.",
            "short",
            [(top("broker_up"), "up")],
            runbook("BrokerDown"),
        ),
    ],
)
