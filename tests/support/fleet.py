"""A fleet to test with: real worker processes on a real PostgreSQL and a real Redis, dying where a test wants them to.

A worker is `celery -A marketspine worker`, with the pool "solo": killing the process kills all of it. A point of
`tests.faults.signalling` says where.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery, current_app
from django.conf import settings

from marketspine.addresses import results_of
from pipeline.engine import sweeper
from pipeline.models import Run, RunStatus
from tests.management.calling import environment
from tests.support import warm

PATIENCE = 120
QUEUES = "ingest,calc,control"
BARE = ("--without-gossip", "--without-mingle", "--without-heartbeat")

# What takes minutes in production takes seconds here.
HASTE = {
    "MARKETSPINE_RESEND_AFTER_SECONDS": "2",
    "MARKETSPINE_RETRY_SECONDS": "1",
}


@dataclass
class Fleet:
    """Worker processes that share a ledger, a broker and folders with the test."""

    database_url: str
    broker_url: str
    logs: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def worker(
        self, point: str = "", *, pool: str = "solo", queues: str = QUEUES, **more: str
    ) -> subprocess.Popen[str]:
        """Start a worker: "SIGKILL commit.before 2" kills itself there."""
        name = f"w{len(self.processes)}@test"
        celery = ("-A", "marketspine", "worker", "--pool", pool, "-c", "2", "-n", name, "-Q", queues, *BARE)
        hooked = ("-m", "tests.faults.signalling", *point.split(), "celery", *celery)
        return self.start(*(hooked if point else ("-m", "celery", *celery)), **more)

    def beat(self) -> subprocess.Popen[str]:
        """Start a beat that looks at the schedule each second."""
        return self.start(
            "-m", "celery", "-A", "marketspine", "beat", "--max-interval", "1", "-l", "INFO", "--pidfile="
        )

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start Python on `words`, in the environment of the fleet and `more` of it; its log is kept with the test."""
        log = (self.logs / f"{len(self.processes)}.log").open("w")
        process = warm.start(
            list(words),
            cwd=settings.BASE_DIR,
            env=self.environment() | more,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, to be killed with the children of its pool
        )
        self.processes.append(process)
        return process

    def environment(self) -> dict[str, str]:
        """What the processes of the fleet read."""
        return environment(self.database_url) | HASTE | {"CELERY_BROKER_URL": self.broker_url}

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Let this process send to the fleet, as the web and the commands of a fleet do."""
        before = current_app._get_current_object()  # type: ignore[attr-defined] # a proxy
        app = Celery("fleet", set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.update(broker_url=self.broker_url, result_backend=results_of(self.broker_url))
        app.set_current()
        try:
            yield
        finally:
            app.close()
            before.set_current()

    def heal(self, run: Run, until: Callable[[], bool] = lambda: False) -> Run:
        """Sweep, as beat would, until the run has ended (or something else is so)."""
        give_up = time.monotonic() + PATIENCE
        while True:
            run.refresh_from_db()
            if run.status != RunStatus.RUNNING or until():
                return run
            if time.monotonic() > give_up:
                raise TimeoutError(f"{run} does not end: {_open_steps(run)}\n{self.told()}")
            with self.sending():
                sweeper.sweep()
            time.sleep(0.2)

    def wait_for(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something is so, bounded."""
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                raise TimeoutError(f"what was waited for does not come:\n{self.told()}")
            time.sleep(0.005)

    def told(self) -> str:
        """What the processes have logged."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.logs.glob("*.log")))

    def end(self, process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
        """Tell a process to end, and wait for it; its code."""
        process.send_signal(how)
        return process.wait(PATIENCE)

    def kill(self, process: subprocess.Popen[str]) -> int:
        """Kill a process and the children of its pool, as when their machine goes down; its code."""
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait(PATIENCE)

    def stop(self) -> None:
        """End all that still run."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait(PATIENCE)


def _open_steps(run: Run) -> str:
    return ", ".join(
        f"{step.partition} {step.status} {step.attempts}" for step in run.partitions.exclude(status="DONE")
    )


def died(process: subprocess.Popen[str]) -> int:
    """Wait until a process has ended by itself; its code, a signal's being negative."""
    return process.wait(PATIENCE)
