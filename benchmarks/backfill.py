"""A backfill of five years through the distributed engine: `python -m benchmarks.backfill [--weeks 260]`.

260 weeks of three tiers, in small files, on PostgreSQL and Valkey with two worker processes, twice. Once undisturbed,
with each second the memory of the workers and of the command that waits, the length of the queues, and the partitions
in flight. Once with `kill -9` of the workers and the command at a random point (the seed is printed); then workers are
started again, and the same command is given again. Both must end in the same state.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum
from redis import Redis as RedisClient

from benchmarks import program
from benchmarks.fleet import Fleet, fleet, load, servers
from pipeline.finra.calendar import last_fridays
from pipeline.finra.samples import Size, publish
from pipeline.models import Capture, PartitionStatus, Run, RunPartition, RunStatus
from tests.support.ledger_state import checksum, ledger_state, row_counts

RUN_DATE = date(2026, 1, 5)
NEWEST = date(2025, 11, 14)  # on RUN_DATE all tiers of it are due
SEED = 7
QUEUES = ("ingest", "calc", "control")
SEPARATOR = "\x06\x16"  # kombu keeps a priority's messages in a list of its own: "ingest", "ingest\x06\x163", ...
POLL_SECONDS = 1.0
PATIENCE = 60
LONGEST = 7200
MIB = 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What was to be seen at one instant: MiB by process, messages, and partitions sent and not done."""

    memory: dict[str, float]
    messages: dict[str, int]
    in_flight: int
    done: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Ended:
    """What a backfill came to. `state` is the checksum of what a user sees, `attempts` those above one."""

    seconds: float
    statuses: list[str]
    state: str
    rows: dict[str, int]
    archived: list[str]
    attempts: list[int]


@dataclass
class Watch:
    """Looks, one a second, at a fleet at work."""

    broker: RedisClient
    watched: dict[str, int] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)

    def add(self, name: str, process: subprocess.Popen[str]) -> None:
        """Look at the memory of this one, too."""
        self.watched[name] = process.pid

    def look(self) -> Look:
        """Look once, and keep it."""
        steps = RunPartition.objects.all()
        sent = Q(status=PartitionStatus.PENDING, sent_at__isnull=False) | Q(status=PartitionStatus.RUNNING)
        resident = {name: _resident(pid) for name, pid in self.watched.items()}
        seen = Look(
            memory={name: held for name, held in resident.items() if held},
            messages={queue: self._waiting(queue) for queue in QUEUES},
            in_flight=steps.filter(sent).count(),
            done=steps.filter(status=PartitionStatus.DONE).count(),
            partitions=steps.count(),
        )
        self.looks.append(seen)
        return seen

    def _waiting(self, queue: str) -> int:
        options: dict[str, Any] = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        steps = options["priority_steps"]
        names = [f"{queue}{SEPARATOR}{step}" if step else queue for step in steps]
        return sum(int(self.broker.llen(name)) for name in names)


def main() -> None:
    """Publish, backfill twice, compare."""
    options = parsed_options()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(f"seed {seed}; before: {load()}", flush=True)
    with tempfile.TemporaryDirectory() as name, servers() as started:
        folder = Path(name)
        weeks = last_fridays(options.weeks, NEWEST)
        publish(folder / "source", weeks=weeks, seed=SEED, size=Size.SMALL)
        command = backfill_command(weeks)
        with fleet(started, folder / "source", folder / "undisturbed") as here:
            undisturbed = run_undisturbed(here, command)
        with fleet(started, folder / "source", folder / "killed") as here:
            killed = run_killed(here, command, random.Random(seed).uniform(0.1, 0.9))
    report_resumed(undisturbed, killed)
    print(f"after: {load()}")


def parsed_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=260, help="weeks of three partitions (default: 260)")
    parser.add_argument("--seed", type=int, help="decides when everything is killed (default: a new one)")
    return parser.parse_args()


def backfill_command(weeks: tuple[date, ...]) -> list[str]:
    """The command that an operator gives."""
    first, last = str(weeks[-1]), str(weeks[0])
    return ["backfill", "--run-date", str(RUN_DATE), "--from", first, "--to", last, "--queue"]


def run_undisturbed(here: Fleet, command: list[str]) -> Ended:
    """Start two workers and the command, look each second until it ends, print what was seen."""
    with watching(here) as watch:
        watch.add("command", here.start("manage.py", *command))
        until(watch, has_ended)
    result = ended(here)
    report_watch(watch, result)
    return result


def run_killed(here: Fleet, command: list[str], share: float) -> Ended:
    """The same, with everything killed when that share is done; then workers and the same command again."""
    with watching(here) as watch:
        watch.add("command", here.start("manage.py", *command))
        until(watch, lambda seen: seen.partitions > 0 and seen.done >= share * seen.partitions)
        here.kill()
    report_kill(watch.look())
    began = time.monotonic()
    with watching(here) as watch:
        again = here.start("manage.py", *command)
        until(watch, has_ended)
    code, took = again.wait(PATIENCE), time.monotonic() - began
    print(f"  workers and the same command started again: ended with {code} after {took:.0f} s")
    print(f"  {longest(watch)}")
    return ended(here)


@contextmanager
def watching(here: Fleet) -> Iterator[Watch]:
    """Two workers, and a watch over them."""
    with RedisClient.from_url(here.broker_url) as broker:
        watch = Watch(broker)
        for number, worker in enumerate(here.workers(WORKERS), 1):
            watch.add(f"worker {number}", worker)
        yield watch


def until(watch: Watch, condition: Callable[[Look], bool]) -> None:
    """Look each second until something is so; TimeoutError after two hours."""
    give_up = time.monotonic() + LONGEST
    while not condition(watch.look()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"what is waited for does not come: {watch.looks[-1]}")
        time.sleep(POLL_SECONDS)


def has_ended(seen: Look) -> bool:
    """Whether there was a run, and none is under way."""
    return seen.partitions > 0 and not Run.objects.filter(status=RunStatus.RUNNING).exists()


def ended(here: Fleet) -> Ended:
    """What the ledger and the storage hold now."""
    run = Run.objects.order_by("pk")[0]
    assert run.finished_at is not None
    return Ended(
        seconds=(run.finished_at - run.created_at).total_seconds(),
        statuses=list(Run.objects.order_by("pk").values_list("status", flat=True)),
        state=checksum(ledger_state()),
        rows=row_counts(),
        archived=sorted(str(path.relative_to(here.archive)) for path in here.archive.rglob("*") if is_whole(path)),
        attempts=sorted(RunPartition.objects.filter(attempts__gt=1).values_list("attempts", flat=True)),
    )


def is_whole(path: Path) -> bool:
    """Whether this is a file that has its name: what a killed process was writing is a part of one."""
    return path.is_file() and path.suffix != ".part"


def differences(undisturbed: Ended, killed: Ended) -> list[str]:
    """In what the two are not equal: the state, the rows of any table, the files."""
    tables = [table for table, rows in undisturbed.rows.items() if killed.rows[table] != rows]
    return [
        *(f"{table} {undisturbed.rows[table]} and {killed.rows[table]} rows" for table in tables),
        *(["the state's checksum"] if undisturbed.state != killed.state else []),
        *(["the files"] if undisturbed.archived != killed.archived else []),
    ]


def report_watch(watch: Watch, result: Ended) -> None:
    """Memory by thirds of the time, the longest queues, the most in flight."""
    partitions, rows = watch.looks[-1].partitions, Capture.objects.aggregate(rows=Sum("rows_kept"))["rows"]
    print(f"\n{partitions} partitions, {rows:,} rows, {WORKERS} workers: {result.seconds:.0f} s")
    print("  resident MiB    first third   last third     most   growth per 100 partitions, after the first third")
    for name in watch.watched:
        resident = [(seen.done, seen.memory[name]) for seen in watch.looks if name in seen.memory]
        third = len(resident) // 3
        growth = statistics.linear_regression(*zip(*resident[third:], strict=True)).slope * 100
        first, last = (statistics.mean(held for _, held in part) for part in (resident[:third], resident[-third:]))
        most = max(held for _, held in resident)
        print(f"  {name:<14} {first:>12.1f} {last:>12.1f} {most:>8.1f} {growth:>+11.2f}")
    print(f"  {longest(watch)}", flush=True)


def longest(watch: Watch) -> str:
    """The longest queues, and the most partitions in flight."""
    queues = ", ".join(f"{queue} {max(seen.messages[queue] for seen in watch.looks)}" for queue in QUEUES)
    most = max(seen.in_flight for seen in watch.looks)
    return f"longest queue: {queues}; most in flight: {most}, the limit is {settings.MARKETSPINE_MAX_IN_FLIGHT}"


def report_kill(seen: Look) -> None:
    """Where the kill met the run."""
    under_way = RunPartition.objects.filter(status=PartitionStatus.RUNNING).count()
    print(f"\nkill -9 of {WORKERS} workers and the command: {seen.done} of {seen.partitions} partitions done, ", end="")
    print(f"{seen.in_flight} sent, {under_way} of them under way", flush=True)


def report_resumed(undisturbed: Ended, killed: Ended) -> None:
    """The disturbed run beside the undisturbed one."""
    print(f"  runs: {', '.join(killed.statuses)}; partitions tried more than once: {len(killed.attempts)}, ", end="")
    print(f"at most {max(killed.attempts, default=1)} times (undisturbed: {len(undisturbed.attempts)})")
    print(f"  from first command to end {killed.seconds:.0f} s, undisturbed {undisturbed.seconds:.0f} s")
    if problems := differences(undisturbed, killed):
        raise SystemExit("  NOT the same state: " + ", ".join(problems))
    print(f"  the same state: checksum {killed.state[:16]}, {len(killed.archived)} files, every table's row count")


def _resident(pid: int) -> float:
    """MiB of a process and its children, as Linux tells it; pages that they share count for each. 0 when it has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return (
            sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in (pid, *children)) * PAGE / MIB
        )
    except FileNotFoundError:
        return 0.0


if __name__ == "__main__":
    program.run(main)
