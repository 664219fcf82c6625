"""What a second worker process brings, and what the engine costs: `python -m benchmarks.scale [--small]`.

Six weeks of real size (18 partitions, about 1,580,000 rows) on PostgreSQL and Valkey, with one worker process and with
two, each of concurrency 1, in rounds that alternate, each on a new ledger after a week to warm up. Where the workers'
time goes comes from the ledger's instants and from Celery's log. Beside each round: what two processes that only compute
get done against one, which no engine can exceed.

The engine's overhead is the time of a run of partitions for which there is nothing to do (`--only-stage calc`, nothing
captured), through the same canvas, per partition; its share is of a real partition of the same engine, one at a time.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from django.db import connection
from django.db.models import Max, Sum

from benchmarks.fleet import Fleet, Servers, checkpoint, cores_free, fleet, load, servers, wait_for
from pipeline.calendar import last_fridays
from pipeline.models import Capture, Run, RunPartition
from pipeline.samples import Size, publish

RUN_DATE = date(2026, 1, 5)
EARLIER = date(2023, 1, 9)
NEWEST = date(2025, 11, 14)  # on RUN_DATE all tiers of it are due
SEED = 7
LONGEST = 3600
STATISTICS_SECONDS = 1.5  # a session of PostgreSQL tells what it did within a second

# What is done to a partition until an instant of its row, since the instant before.
PHASES = {
    "fetched_at": "fetch: read, hash",
    "parsed_at": "parse: columns, rejects",
    "stored_at": "store: archive, COPY, merge",
    "finished_at": "the rest of a partition",
}
CLOSING = "close the week"
SHELL = "claim, Celery's part of a task"
BETWEEN = "between tasks, idle"
TASK = re.compile(r"Task pipeline\.(process_partition|close_week)\[[^\]]*\] succeeded in ([\d.e-]+)s")


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


@dataclass(frozen=True, slots=True)
class Setting:
    """What all measurements share."""

    servers: Servers
    source: Path
    folder: Path
    weeks: tuple[date, ...]
    empty_weeks: int

    def new_folder(self) -> Path:
        """A folder that nobody uses yet."""
        return self.folder / f"run-{time.monotonic_ns()}"


def main() -> None:
    """Publish, measure, print."""
    options = parsed_options()
    with tempfile.TemporaryDirectory() as name, servers() as started:
        folder = Path(name)
        weeks = last_fridays(options.weeks + 1, NEWEST)
        size = Size.SMALL if options.small else Size.REAL
        publish(folder / "source", weeks=weeks, seed=SEED, size=size)
        measure(Setting(started, folder / "source", folder, weeks, options.empty_weeks), options.rounds)


def parsed_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=6, help="weeks to capture, besides one to warm up (default: 6)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken (default: 3)")
    parser.add_argument("--empty-weeks", type=int, default=60, help="weeks of empty partitions (default: 60)")
    parser.add_argument("--small", action="store_true", help="files of a 200th of the real size, for a quick try")
    return parser.parse_args()


def measure(setting: Setting, rounds: int) -> None:
    """All rounds, one worker and two in turn; then the reports."""
    print(f"before: {load()}", flush=True)
    cores: list[float] = []
    real: dict[str, list[Measured]] = {"one worker": [], "two workers": [], "embedded": []}
    empty: dict[str, list[Measured]] = {"one worker": [], "embedded": []}
    for number in range(rounds):
        cores.append(cores_free())
        counts = (("one worker", 1), ("two workers", 2))
        for name, count in counts if number % 2 == 0 else reversed(counts):
            real[name].append(on_fleet(setting, count, captured(setting.weeks)))
        real["embedded"].append(embedded(setting, captured(setting.weeks)))
        empty["one worker"].append(on_fleet(setting, 1, nothing(setting.empty_weeks)))
        empty["embedded"].append(embedded(setting, nothing(setting.empty_weeks)))
        print(
            f"round {number + 1}: " + ", ".join(f"{name} {real[name][-1].elapsed:.1f} s" for name in real), flush=True
        )
    report_scale(real["one worker"], real["two workers"], cores)
    report_overhead("Valkey, PostgreSQL", empty["one worker"], real["one worker"])
    report_overhead("embedded, SQLite", empty["embedded"], real["embedded"])
    print(f"after: {load()}")


def captured(weeks: Sequence[date]) -> tuple[list[str], list[str]]:
    """Two commands: capture the oldest week, to warm up; capture the others."""
    first = ["backfill", "--run-date", str(RUN_DATE), "--from", str(weeks[-1]), "--to", str(weeks[-1])]
    return first, ["backfill", "--run-date", str(RUN_DATE), "--from", str(weeks[-2]), "--to", str(weeks[0])]


def nothing(weeks: int) -> tuple[list[str], list[str]]:
    """Two commands for which there is nothing to do: of a few weeks, to warm up; of so many."""
    command = ["run_weekly", "--only-stage", "calc"]
    return (
        [*command, "--run-date", str(EARLIER), "--lookback-weeks", "4"],
        [*command, "--run-date", str(RUN_DATE), "--lookback-weeks", str(weeks)],
    )


def on_fleet(setting: Setting, count: int, commands: tuple[list[str], list[str]]) -> Measured:
    """Warm up, then measure, with so many workers on a new ledger on PostgreSQL."""
    with fleet(setting.servers, setting.source, setting.new_folder()) as here:
        here.workers(count)
        warming, measured = commands
        run_on(here, [*warming, "--queue", "--no-wait"])
        return measured_run(here, [*measured, "--queue", "--no-wait"], count)


def embedded(setting: Setting, commands: tuple[list[str], list[str]]) -> Measured:
    """The same in the process of the command, with one thread, on SQLite."""
    with fleet(None, setting.source, setting.new_folder()) as here:
        warming, measured = commands
        run_on(here, warming)
        return measured_run(here, measured, 1)


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
    """How long the tasks of each name took, by what Celery has logged since `read`."""
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


def report_scale(one: list[Measured], two: list[Measured], cores: list[float]) -> None:
    """Throughput, its ratio, and where the time went, medians of the rounds."""
    print(
        f"\n{one[0].partitions} partitions, {one[0].rows:,} rows; PostgreSQL and Valkey; medians of {len(one)} rounds"
    )
    print(f"  two processes that only compute, against one: {statistics.median(cores):.2f}x (2.00x: two cores free)")
    for name, runs in (("one worker", one), ("two workers", two)):
        print(f"  {name:<12} {median(runs, 'elapsed'):7.1f} s  {median(runs, 'rate'):9,.0f} rows/s")
    ratios = [double.rate / single.rate for single, double in zip(one, two, strict=True)]
    print(
        f"  ratio        {statistics.median(ratios):7.2f}x   (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )
    print(f"\n  {'worker time':<30} {'one worker':>18} {'two workers':>18}")
    for name in one[0].spent:
        print(f"  {name:<30} {share(one, name):>18} {share(two, name):>18}")
    for number, name in enumerate(("queued to started, mean", "last partition to week closed")):
        waits = [statistics.median(run.waited[number] for run in runs) for runs in (one, two)]
        print(f"  {name:<30} {waits[0]:>16.2f} s {waits[1]:>16.2f} s")


def share(runs: list[Measured], name: str) -> str:
    """Seconds, and the share of all worker time."""
    spent_on = statistics.median(run.spent[name] for run in runs)
    return f"{spent_on:.2f} s {spent_on / median(runs, 'elapsed') / runs[0].workers:6.1%}"


def report_overhead(engine: str, empty: list[Measured], real: list[Measured]) -> None:
    """The engine's milliseconds for each partition, and their share of a real one."""
    mine, whole = median(empty, "each"), median(real, "each")
    print(f"\nengine: {engine}, one partition at a time, {empty[0].partitions} empty ones")
    print(f"  {mine * 1000:.1f} ms for each partition, {mine / whole:.2%} of a real one ({whole * 1000:,.0f} ms)")
    for name in (PHASES["finished_at"], SHELL, CLOSING, BETWEEN):
        spent_on = statistics.median(run.spent[name] / run.partitions for run in empty)
        print(f"    {name:<30} {spent_on * 1000:6.1f} ms")
    if empty[0].transactions:
        counts = median(empty, "transactions"), median(empty, "connections")
        print(f"    {counts[0]:.1f} transactions and {counts[1]:.1f} connections for each partition")


def median(runs: list[Measured], what: str) -> float:
    """The median of the rounds."""
    return statistics.median(float(getattr(run, what)) for run in runs)


if __name__ == "__main__":
    main()
