"""How long a run takes to end after each kind of outage: `python -m benchmarks.recovery [--small] [--only WORD]`.

A fleet as in production, on its default settings, with PostgreSQL and Valkey: a worker for `ingest`, one for `calc` and
`control`, each of two processes, beat, and a command that waits (`backfill --queue`). Three weeks of real size. When a third
of the partitions is done, something is killed or stopped; what an orchestrator would start again is started at once.

Measured is the time from the end of the fault to the end of the run, by the ledger. Each run must end in the same state as
the one that nothing disturbs, row for row, with every process alive, and the command with the run's exit code.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from celery import Celery
from django.db import connection
from redis import Redis as RedisClient

from benchmarks import program
from benchmarks.databases import DURABLE
from benchmarks.fleet import Fleet, Servers, fleet, load
from pipeline.finra.calendar import last_fridays
from pipeline.finra.samples import Size, publish
from pipeline.models import Capture, PartitionStatus, Readiness, Run, RunPartition, RunStatus, VenueVolume
from tests.support.ledger_state import CAPTURE_FIELDS, check_consistent, open_anomalies
from tests.support.servers import PostgreSQL, Redis, postgresql, redis

RUN_DATE = date(2026, 1, 5)
NEWEST = date(2025, 11, 14)  # on RUN_DATE all tiers of it are due
SEED = 7
AWAY_SECONDS = 10
LONGEST = 900
PATIENCE = 60
POLL_SECONDS = 0.1
WORKERS = {"ingest": "ingest", "calc": "calc,control"}


@dataclass
class Scene:
    """What there is to kill: the processes by name, the broker and the database."""

    here: Fleet
    broker: Redis
    database: PostgreSQL
    weeks: tuple[date, ...]
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a worker, beat or the command."""
        self.running[name] = self.here.start(*self._words(name))

    def kill(self, name: str) -> None:
        """`kill -9` of the main process alone."""
        self.running[name].kill()
        self.running[name].wait()

    def kill_machine(self, name: str) -> None:
        """`kill -9` of a worker and the children of its pool."""
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()

    def children(self, name: str) -> list[int]:
        """The processes of a worker's pool."""
        pid = self.running[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _words(self, name: str) -> tuple[str, ...]:
        if name == "beat":
            return ("-m", "celery", "-A", "marketspine", "beat", "--pidfile=", "--max-interval", "5")
        if name == "command":
            span = ("--from", str(self.weeks[-1]), "--to", str(self.weeks[0]))
            return ("manage.py", "backfill", "--run-date", str(RUN_DATE), *span, "--queue")
        return ("-m", "celery", "-A", "marketspine", "worker", "-c", "2", "-n", f"{name}@%h", "-Q", WORKERS[name])


def _nothing(_scene: Scene) -> None:
    """The run that is compared with."""


def _worker(scene: Scene) -> None:
    scene.kill("ingest")
    scene.start("ingest")


def _machine(scene: Scene) -> None:
    scene.kill_machine("ingest")
    scene.start("ingest")


def _calc_worker(scene: Scene) -> None:
    scene.kill_machine("calc")
    scene.start("calc")


def _pool_child(scene: Scene) -> None:
    os.kill(scene.children("ingest")[-1], signal.SIGKILL)


def _command(scene: Scene) -> None:
    scene.kill("command")


def _beat(scene: Scene) -> None:
    scene.kill("beat")


def _redis_emptied(scene: Scene) -> None:
    with RedisClient.from_url(scene.broker.url) as client:
        client.flushall()


def _redis_restarted(scene: Scene) -> None:
    scene.broker.kill()
    time.sleep(AWAY_SECONDS)
    scene.broker.start()


def _database_away(how: signal.Signals) -> Callable[[Scene], None]:
    def stop_and_start(scene: Scene) -> None:
        connection.close()
        scene.database.shut_down(how)
        time.sleep(AWAY_SECONDS)
        scene.database.start()

    return stop_and_start


FAULTS: dict[str, Callable[[Scene], None]] = {
    "nothing": _nothing,
    "worker, its main process": _worker,
    "worker, with its pool": _machine,
    "calc and control worker, with its pool": _calc_worker,
    "child of a pool": _pool_child,
    "command that waits": _command,
    "beat, not started again": _beat,
    "Redis emptied": _redis_emptied,
    "Redis away for 10 s, then empty": _redis_restarted,
    "PostgreSQL away for 10 s": _database_away(signal.SIGINT),
    "PostgreSQL crashed, away for 10 s": _database_away(signal.SIGQUIT),
}


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a fault came to. `seconds` from its end to the end of the run; `dead`: processes that ended by themselves."""

    seconds: float
    status: str
    repeated: int
    code: int | None
    dead: list[str]
    state: str


def main() -> None:
    """Publish, disturb, print."""
    options = parsed_options()
    print(f"before: {load()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weeks = last_fridays(options.weeks, NEWEST)
        publish(folder / "source", weeks=weeks, seed=SEED, size=Size.SMALL if options.small else Size.REAL)
        undisturbed = ""
        for what, fault in FAULTS.items():
            if fault is not _nothing and options.only not in what:
                continue
            recovered = measured(folder, weeks, what, fault)
            undisturbed = undisturbed or recovered.state
            report(what, recovered, same=recovered.state == undisturbed)
    print(f"after: {load()}")


def parsed_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=3, help="weeks of three partitions (default: 3)")
    parser.add_argument("--small", action="store_true", help="small files, for a quick try")
    parser.add_argument("--only", default="", help="only the faults with this in their names")
    return parser.parse_args()


def measured(folder: Path, weeks: tuple[date, ...], what: str, fault: Callable[[Scene], None]) -> Recovered:
    """One run, disturbed when a third of it is done."""
    with scene(folder, weeks, what) as here:
        for name in (*WORKERS, "beat"):
            here.start(name)
        until_they_answer(here)
        here.start("command")
        until(lambda: done() >= len(weeks) if fault is not _nothing else Run.objects.exists())
        fault(here)
        ended = time.time()
        until(lambda: Run.objects.exclude(status=RunStatus.RUNNING).exists())
        return recovered_from(here, ended)


@contextmanager
def scene(folder: Path, weeks: tuple[date, ...], what: str) -> Iterator[Scene]:
    """Servers of its own for each fault, and a fleet to be started on them."""
    with redis() as broker, postgresql(DURABLE) as database:
        started = Servers(database.url, broker)
        with fleet(started, folder / "source", folder / what.replace(" ", "-")) as here:
            yield Scene(here, broker, database, weeks)


def until_they_answer(here: Scene) -> None:
    """Wait for the workers."""
    with Celery(broker=here.here.broker_url, set_as_current=False) as app:
        until(lambda: len(app.control.ping(timeout=0.5) or []) == len(WORKERS))


def until(is_so: Callable[[], bool]) -> None:
    """Wait, bounded, until something is so."""
    give_up = time.monotonic() + LONGEST
    while not is_so():
        if time.monotonic() > give_up:
            raise TimeoutError("what was waited for does not come")
        time.sleep(POLL_SECONDS)


def done() -> int:
    """How many partitions are."""
    return RunPartition.objects.filter(status=PartitionStatus.DONE).count()


def recovered_from(here: Scene, ended: float) -> Recovered:
    """Read from the ledger what became of the run, and from the processes who is left."""
    run = Run.objects.get()
    assert run.finished_at is not None
    command = here.running["command"]
    code = command.wait(PATIENCE)
    dead = [name for name, process in here.running.items() if name != "command" and process.poll() not in {None, -9}]
    repeated = sum(attempts - 1 for attempts in run.partitions.values_list("attempts", flat=True))
    seconds = run.finished_at.timestamp() - ended
    return Recovered(seconds, run.status, repeated, code, dead, state())


def state() -> str:
    """A checksum of captures with their content hashes, the newest snapshots' figures, verdicts and open anomalies.

    AssertionError where a vintage file has not the content that its capture names.
    """
    check_consistent()
    figures = ("snapshot__week_ending", "scope", "mpid", "crd", "venue_name", "shares", "trades", "rank")
    held: list[object] = [
        sorted(map(str, Capture.objects.values_list(*CAPTURE_FIELDS))),
        sorted(map(str, VenueVolume.objects.values_list(*figures))),
        sorted(map(str, Readiness.objects.values_list("week_ending", "use", "state"))),
        open_anomalies(),
    ]
    return hashlib.sha256(repr(held).encode()).hexdigest()


def report(what: str, recovered: Recovered, *, same: bool) -> None:
    """One line."""
    told = f"{what:<40} {recovered.seconds:6.1f} s  {recovered.status}, command {recovered.code}"
    ends = f"{recovered.repeated} tried twice, state {'the same' if same else 'DIFFERS'}"
    print(f"{told}, {ends}{f', ENDED: {recovered.dead}' if recovered.dead else ''}", flush=True)


if __name__ == "__main__":
    program.run(main)
