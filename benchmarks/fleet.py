"""A fleet to measure: worker processes and commands as in production, on a PostgreSQL that syncs and a Valkey.

All listen on loopback or a Unix socket only. Each process is started in a group of its own and ended by its number.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
django.setup()

from celery import Celery
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from redis import Redis as RedisClient

from benchmarks.databases import DURABLE, stored_in
from pipeline.models import Run, RunStatus
from tests.support.engines import Ledger, PostgreSQLLedger, SQLiteLedger, as_default
from tests.support.servers import Redis, postgresql, redis

ARCHIVE = "archive"
QUEUES = "ingest,calc,control"
PATIENCE = 60
POLL_SECONDS = 0.5
SPIN = "import time; end = time.perf_counter() + {seconds}; n = 0\nwhile time.perf_counter() < end: n += 1\nprint(n)"
SPIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the databases are made, and the broker."""

    database_url: str
    broker: Redis


@contextmanager
def servers() -> Iterator[Servers]:
    """A PostgreSQL (started from its wheel, or TEST_DATABASE_URL) and a Valkey of its own."""
    with redis() as broker:
        given = os.environ.get("TEST_DATABASE_URL")
        if given:
            yield Servers(given, broker)
            return
        with postgresql(DURABLE) as started:
            yield Servers(started.url, broker)


@contextmanager
def new_ledger(servers: Servers | None, folder: Path) -> Iterator[Ledger]:
    """A migrated, empty ledger behind `default`: on PostgreSQL, or without servers on SQLite. Dropped on leaving."""
    ledger = PostgreSQLLedger(servers.database_url) if servers else SQLiteLedger(folder / "ledger.sqlite3")
    try:
        with as_default(ledger):
            call_command("migrate", verbosity=0)
            yield ledger
    finally:
        ledger.drop()


@dataclass
class Fleet:
    """The processes that share a ledger, a source, an archive and (where there is one) a broker.

    Each process has so many `cores` for polars; with 0, those of the machine.
    """

    ledger: Ledger
    source: Path
    folder: Path
    broker_url: str = ""
    cores: int = 0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def archive(self) -> Path:
        """Where payloads and vintage files go."""
        return self.folder / ARCHIVE

    @property
    def logs(self) -> list[Path]:
        """What each process that was started has printed, in order."""
        return [self.folder / f"{number}.log" for number in range(len(self.processes))]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start Python on `words`; what it prints goes to its log."""
        self.archive.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=settings.BASE_DIR,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def workers(self, count: int) -> list[subprocess.Popen[str]]:
        """Start so many worker processes of concurrency 1, as in production, and wait until they answer."""
        first = len(self.processes)
        started = [self.start(*_worker_words(first + number)) for number in range(count)]
        app, give_up = Celery(broker=self.broker_url, set_as_current=False), time.monotonic() + PATIENCE
        with app:
            while len(app.control.ping(timeout=0.5) or []) < count:
                if time.monotonic() > give_up:
                    raise TimeoutError(f"the workers do not answer:\n{self.told()}")
        return started

    def manage(self, *words: str) -> int:
        """Run a command to its end; its exit code, RuntimeError where it could not run."""
        code = self.start("-m", "benchmarks.traced", *words).wait()
        if code not in {0, 1}:
            raise RuntimeError(f"{words[0]} ended with {code}:\n{self.told()}")
        return code

    def told(self) -> str:
        """The end of each log."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in self.logs)

    def stop(self) -> None:
        """Let all end in order; kill what does not."""
        for process in self._alive():
            process.send_signal(signal.SIGTERM)
        for process in self._alive():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """`kill -9` everything at once, the children of the workers' pools as well."""
        alive = self._alive()
        for process in alive:
            os.killpg(process.pid, signal.SIGKILL)
        for process in alive:
            process.wait()

    def _alive(self) -> list[subprocess.Popen[str]]:
        return [process for process in self.processes if process.poll() is None]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
        chosen = {
            "DATABASE_URL": self.ledger.url,
            "MARKETSPINE_ARCHIVE_DIR": str(self.archive),
            "MARKETSPINE_SOURCE_DIR": str(self.source),
            "MARKETSPINE_LOG_LEVEL": "INFO",  # how long each task took
        }
        if self.cores:
            chosen["MARKETSPINE_CORES"] = str(self.cores)
        return inherited | chosen | ({"CELERY_BROKER_URL": self.broker_url} if self.broker_url else {})


def _worker_words(number: int) -> tuple[str, ...]:
    return ("-m", "celery", "-A", "benchmarks.traced", "worker", "-c", "1", "-n", f"w{number}@bench", "-Q", QUEUES)


@contextmanager
def fleet(servers: Servers | None, source: Path, folder: Path, cores: int = 0) -> Iterator[Fleet]:
    """A fleet on a new ledger, stopped on leaving, whose files this process reads too.

    Without servers, commands work by themselves on SQLite.
    """
    folder.mkdir(parents=True)
    with new_ledger(servers, folder) as ledger, stored_in(folder / ARCHIVE):
        started = Fleet(ledger, source, folder, f"{servers.broker.url}/0" if servers else "", cores)
        if servers:
            RedisClient.from_url(servers.broker.url).flushall()
        try:
            yield started
        finally:
            started.stop()


def wait_for(run: Run, seconds: float) -> Run:
    """Wait until a run has ended; TimeoutError after so many seconds."""
    give_up = time.monotonic() + seconds
    while run.status == RunStatus.RUNNING:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{run} does not end")
        time.sleep(POLL_SECONDS)
        run.refresh_from_db()
    return run


def checkpoint() -> None:
    """Let PostgreSQL write what is still to be written, so that it does not do so while something is measured."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")


def cores_free() -> float:
    """How many times as much two processes that only compute get done as one: 2.0 on two cores that nobody uses."""
    alone = _spin(1)
    return sum(_spin(2)) / alone[0]


def _spin(processes: int) -> list[int]:
    words = [sys.executable, "-S", "-c", SPIN.format(seconds=SPIN_SECONDS)]
    spinning = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return [int(process.communicate()[0]) for process in spinning]


def load() -> str:
    """The machine: cores, and the load averages of the last 1 and 5 minutes."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load {one:.1f} (1 min) and {five:.1f} (5 min)"
