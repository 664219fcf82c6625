"""Real weeks with one worker process, with two, and embedded, against raw loading: `python -m benchmarks.scale [--small]`.

Six weeks of real size (18 partitions, about 1,580,000 rows), captured, with their analytics and verdicts, in rounds that
alternate, each on a new ledger after a week to warm up:

- on PostgreSQL and Valkey with one worker process and with two, each of concurrency 1 with one core for polars; and with
  one that has all cores;
- embedded, the default: one process, its threads on all cores, SQLite;
- raw: the same rows into a table of numbers, by COPY and by executemany (`benchmarks.raw_loading`), nothing else done.

Where the workers' time goes comes from the ledger's instants and from the log of `benchmarks.traced`. Beside each round:
what two processes that only compute get done against one, which no engine can exceed.

The engine's overhead is the time of a run of partitions for which there is nothing to do (`--only-stage calc`, nothing
captured), through the same canvas, per partition; its share is of a real partition of the same engine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
from django.conf import settings

from benchmarks import program, raw_loading
from benchmarks.fleet import Servers, checkpoint, cores_free, fleet, load, new_ledger, servers
from benchmarks.measured import BETWEEN, CLOSING, PHASES, SHELL, Measured, measured_run, median, run_on, share
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier, last_fridays
from pipeline.finra.samples import Size, publish
from pipeline.finra.sources.files.source import FilesSource

RUN_DATE = date(2026, 1, 5)
EARLIER = date(2023, 1, 9)
NEWEST = date(2025, 11, 14)  # on RUN_DATE all tiers of it are due
SEED = 7
ONE, TWO, ALL_CORES, EMBEDDED = "one worker", "two workers", "one worker, all cores", "embedded"
COPY, EXECUTEMANY = "raw COPY", "raw executemany"
WORKERS = {ONE: (1, 1), TWO: (2, 1), ALL_CORES: (1, 0)}  # how many, and how many cores each has: 0 is all
COMPARED = ((ONE, COPY), (TWO, COPY), (ONE, TWO), (ALL_CORES, COPY), (EMBEDDED, EXECUTEMANY))


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

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows of each partition that is measured, as the product reads them."""
        source = FilesSource(self.source, settings.MARKETSPINE_MAX_FILE_BYTES)
        for key in (PartitionKey(week, tier) for week in self.weeks[:-1] for tier in Tier):
            payload = source.fetch(key)
            yield reader.read(payload.content, payload.format, key, max_reject_share=0.0).frame


@dataclass
class Rounds:
    """What was measured, round by round: real weeks and empty ones by what worked on them, seconds of raw loads."""

    real: dict[str, list[Measured]] = field(default_factory=lambda: {name: [] for name in (*WORKERS, EMBEDDED)})
    empty: dict[str, list[Measured]] = field(default_factory=lambda: {name: [] for name in (ONE, EMBEDDED)})
    raw: dict[str, list[float]] = field(default_factory=lambda: {COPY: [], EXECUTEMANY: []})
    cores: list[float] = field(default_factory=list)


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
    """All rounds, what works in turn; then the reports."""
    print(f"before: {load()}", flush=True)
    found = Rounds()
    for number in range(rounds):
        one_round(setting, found, list(WORKERS) if number % 2 == 0 else list(reversed(WORKERS)))
        seconds = {name: runs[-1].elapsed for name, runs in found.real.items()} | {
            name: loads[-1] for name, loads in found.raw.items()
        }
        print(f"round {number + 1}: " + ", ".join(f"{name} {took:.1f} s" for name, took in seconds.items()), flush=True)
    report_scale(found)
    report_times(found.real[ONE], found.real[TWO])
    report_overhead("Valkey, PostgreSQL", found.empty[ONE], found.real[ONE])
    report_overhead("embedded, SQLite", found.empty[EMBEDDED], found.real[EMBEDDED])
    print(f"after: {load()}")


def one_round(setting: Setting, found: Rounds, order: list[str]) -> None:
    """Everything once."""
    found.cores.append(cores_free())
    found.raw[COPY].append(raw(setting, setting.servers))
    for name in order:
        found.real[name].append(on_fleet(setting, *WORKERS[name], captured(setting.weeks)))
    found.raw[EXECUTEMANY].append(raw(setting, None))
    found.real[EMBEDDED].append(embedded(setting, captured(setting.weeks)))
    found.empty[ONE].append(on_fleet(setting, *WORKERS[ONE], nothing(setting.empty_weeks)))
    found.empty[EMBEDDED].append(embedded(setting, nothing(setting.empty_weeks)))


def raw(setting: Setting, servers: Servers | None) -> float:
    """Seconds of loading the rows of the weeks that are measured into a new database, on PostgreSQL or on SQLite."""
    folder = setting.new_folder()
    folder.mkdir()
    with new_ledger(servers, folder):
        raw_loading.make_table()
        checkpoint()
        return raw_loading.seconds(setting.frames())


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


def on_fleet(setting: Setting, count: int, cores: int, commands: tuple[list[str], list[str]]) -> Measured:
    """Warm up, then measure, with so many workers of so many cores on a new ledger on PostgreSQL."""
    with fleet(setting.servers, setting.source, setting.new_folder(), cores) as here:
        here.workers(count)
        warming, measured = commands
        run_on(here, [*warming, "--queue", "--no-wait"])
        return measured_run(here, [*measured, "--queue", "--no-wait"], count)


def embedded(setting: Setting, commands: tuple[list[str], list[str]]) -> Measured:
    """The same in the process of the command, on SQLite, with all defaults."""
    with fleet(None, setting.source, setting.new_folder()) as here:
        warming, measured = commands
        run_on(here, warming)
        return measured_run(here, measured, settings.MARKETSPINE_THREADS)


def report_scale(found: Rounds) -> None:
    """Seconds and rows a second, and the ratios, medians of the rounds."""
    first = found.real[ONE][0]
    print(f"\n{first.partitions} partitions, {first.rows:,} rows; medians of {len(found.cores)} rounds")
    print(
        f"  two processes that only compute, against one: {statistics.median(found.cores):.2f}x (2.00x: two cores free)"
    )
    for name, runs in found.real.items():
        print(f"  {name:<26} {median(runs, 'elapsed'):7.1f} s  {median(runs, 'rate'):9,.0f} rows/s")
    for name, loads in found.raw.items():
        took = statistics.median(loads)
        print(f"  {name:<26} {took:7.1f} s  {first.rows / took:9,.0f} rows/s")
    seconds = {name: [run.elapsed for run in runs] for name, runs in found.real.items()} | found.raw
    for mine, other in COMPARED:
        ratios = [one / two for one, two in zip(seconds[mine], seconds[other], strict=True)]
        rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"  {mine + ' / ' + other:<46} {statistics.median(ratios):5.2f}x   (rounds: {rounds})")


def report_times(one: list[Measured], two: list[Measured]) -> None:
    """Where the workers' time went."""
    print(f"\n  {'worker time':<34} {'one worker':>18} {'two workers':>18}")
    for name in one[0].spent:
        print(f"  {name:<34} {share(one, name):>18} {share(two, name):>18}")
    for number, name in enumerate(("queued to started, mean", "last partition to week closed")):
        waits = [statistics.median(run.waited[number] for run in runs) for runs in (one, two)]
        print(f"  {name:<34} {waits[0]:>16.2f} s {waits[1]:>16.2f} s")


def report_overhead(engine: str, empty: list[Measured], real: list[Measured]) -> None:
    """The engine's milliseconds for each partition, and their share of a real one."""
    mine, whole = median(empty, "each"), median(real, "each")
    print(f"\nengine: {engine}, {empty[0].partitions} empty partitions")
    print(f"  {mine * 1000:.1f} ms for each partition, {mine / whole:.2%} of a real one ({whole * 1000:,.0f} ms)")
    for name in (PHASES["finished_at"], SHELL, CLOSING, BETWEEN):
        spent_on = statistics.median(run.spent[name] / run.partitions for run in empty)
        print(f"    {name:<30} {spent_on * 1000:6.1f} ms")
    if empty[0].transactions:
        counts = median(empty, "transactions"), median(empty, "connections")
        print(f"    {counts[0]:.1f} transactions and {counts[1]:.1f} connections for each partition")


if __name__ == "__main__":
    program.run(main)
