"""One run of a fleet, measured: from the ledger's instants, the log of `benchmarks.traced`, and PostgreSQL's statistics."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.db.models import Max, Sum

from benchmarks.fleet import Fleet, checkpoint, wait_for
from pipeline.models import Capture, Run, RunPartition

LONGEST = 3600
STATISTICS_SECONDS = 1.5  # a session of PostgreSQL tells what it did within a second

# What is done to a partition until an instant of its row, since the instant before.
PHASES = {
    "fetched_at": "fetch: read, hash",
    "parsed_at": "read: columns, rules, order, hash",
    "stored_at": "decide, files, commit",
    "finished_at": "the rest of a partition",
}
CLOSING = "close the week"
SHELL = "claim, Celery's part of a task"
BETWEEN = "between tasks, idle"
TASK = re.compile(r"task pipeline\.(process_partition|close_week) took ([\d.]+) s")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `spent` is worker time in seconds by what it went to; it adds up to `elapsed` times the workers.

    `waited`: mean seconds from queued to started, and from a week's last partition to its closing.
    """

    workers: int
    elapsed: float
    partitions: int
    rows: int
    spent: dict[str, float]
    waited: tuple[float, float]
    transactions: float
    connections: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.elapsed

    @property
    def each(self) -> float:
        """Seconds of elapsed time for each partition."""
        return self.elapsed / self.partitions


def run_on(here: Fleet, command: list[str]) -> Run:
    """Give the command, and wait until its run has ended."""
    here.manage(*command)
    return wait_for(Run.objects.order_by("-pk")[0], LONGEST)


def measured_run(here: Fleet, command: list[str], workers: int) -> Measured:
    """Give the command, and see what the ledger, the logs and PostgreSQL say of its run."""
    checkpoint()
    before = database_counters()
    read = {log: log.stat().st_size for log in here.logs}
    run = run_on(here, command)
    transactions, connections = (now - then for now, then in zip(database_counters(), before, strict=True))
    steps = list(run.partitions.all())
    elapsed = seconds(run.created_at, run.finished_at)
    return Measured(
        workers=workers,
        elapsed=elapsed,
        partitions=len(steps),
        rows=Capture.objects.filter(run_partitions__run=run).aggregate(rows=Sum("rows_kept"))["rows"] or 0,
        spent=spent(steps, task_seconds(here, read), elapsed * workers),
        waited=(statistics.mean(seconds(step.queued_at, step.started_at) for step in steps), until_closed(run)),
        transactions=transactions / len(steps),
        connections=connections / len(steps),
    )


def spent(steps: Iterable[RunPartition], tasks: dict[str, float], available: float) -> dict[str, float]:
    """Worker time in seconds by what it went to."""
    phases = dict.fromkeys(PHASES.values(), 0.0)
    for step in steps:
        since = step.started_at
        for instant, name in PHASES.items():
            until = getattr(step, instant)
            phases[name] += seconds(since, until)
            since = until or since
    worked = sum(seconds(step.started_at, step.finished_at) for step in steps)
    phases[SHELL] = tasks.get("process_partition", 0.0) - worked
    phases[CLOSING] = tasks.get("close_week", 0.0)
    phases[BETWEEN] = available - sum(tasks.values())
    return phases


def task_seconds(here: Fleet, read: dict[Path, int]) -> dict[str, float]:
    """How long the tasks of each name took, by what was logged since `read`."""
    taken: dict[str, float] = {}
    for log in here.logs:
        for name, took in TASK.findall(log.read_bytes()[read.get(log, 0) :].decode()):
            taken[name] = taken.get(name, 0.0) + float(took)
    return taken


def until_closed(run: Run) -> float:
    """Mean seconds from a week's last partition to its closing."""
    last = dict(run.partitions.values_list("partition__week_ending").annotate(last=Max("finished_at")).order_by())
    return statistics.mean(seconds(last[week.week_ending], week.closed_at) for week in run.weeks.all())


def seconds(begin: datetime | None, end: datetime | None) -> float:
    """From one instant to another; 0 where what lies between was not done."""
    return (end - begin).total_seconds() if begin and end else 0.0


def database_counters() -> tuple[int, int]:
    """Transactions and sessions of the database so far; on SQLite, none."""
    if connection.vendor != "postgresql":
        return 0, 0
    time.sleep(STATISTICS_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit + xact_rollback, sessions FROM pg_stat_database WHERE datname = current_database()"
        )
        transactions, sessions = cursor.fetchone()
    return transactions, sessions


def share(runs: list[Measured], name: str) -> str:
    """Seconds, and the share of all worker time."""
    spent_on = statistics.median(run.spent[name] for run in runs)
    return f"{spent_on:.2f} s {spent_on / median(runs, 'elapsed') / runs[0].workers:6.1%}"


def median(runs: list[Measured], what: str) -> float:
    """The median of the rounds."""
    return statistics.median(float(getattr(run, what)) for run in runs)
