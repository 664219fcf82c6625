"""What compose.yaml runs, run as local processes: a scheduled run goes through web, beat and workers.

There is no Docker to be had in a test: the same commands, on the files that the image holds, in the same environment but
for the hosts' names, against the test's PostgreSQL and Redis.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from pipeline.finra.calendar import last_fridays, market_today
from pipeline.finra.samples import Size, publish
from pipeline.models import Run, RunStatus, Trigger
from tests.containers.composing import make_app, service
from tests.deploy.confinement import no_containers
from tests.faults.extent import EVERYTHING
from tests.support.engines import Engines

PATIENCE = 120
SITE = "market.example"
GIVEN = {
    "INGEST_CONCURRENCY": "1",
    "ALLOWED_HOSTS": f"localhost,127.0.0.1,{SITE}",
}


class Composed:
    """The processes of compose.yaml, on this machine."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, port: int) -> None:
        self.port = port
        self._folder = folder
        self._app = make_app(folder)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        secrets = {
            "secret_key": "k" * 50,
            "database_url": database_url,
            "broker_url": redis_url,
            "metrics_token": "t" * 50,
        }
        for name, secret in {**secrets, "finra_client_secret": ""}.items():
            (folder / name).write_text(secret, encoding="utf-8")

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a service."""
        command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}") for word in service(name, GIVEN).command]
        log = (self._folder / f"{name}.log").open("wb")
        started = subprocess.Popen(
            self._local(command), cwd=self._app, env=self._environment(name), stdout=log, stderr=log
        )
        self.running[name] = started
        return started

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        command = [word.replace(":8000", f":{self.port}") for word in service(name, GIVEN).health[1:]]
        ran = subprocess.run(self._local(command), cwd=self._app, env=self._environment(name), check=False)
        return ran.returncode == 0

    def told(self) -> str:
        """What the services have logged."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in self._folder.glob("*.log"))

    def stop(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def _local(self, command: list[str]) -> list[str]:
        """The command, with the programs of this virtualenv."""
        program = Path(sys.executable).parent / command[0]
        return [str(program) if program.exists() else command[0], *command[1:]]

    def _environment(self, name: str) -> dict[str, str]:
        """The service's own, but for what the container's file system and network would bring."""
        theirs = service(name, GIVEN).environment
        theirs = {key: value.replace("/run/secrets", str(self._folder)) for key, value in theirs.items()}
        folders = {
            "MARKETSPINE_ARCHIVE_DIR": settings.MARKETSPINE_ARCHIVE_DIR,
            "MARKETSPINE_SOURCE_DIR": settings.MARKETSPINE_SOURCE_DIR,
            "MARKETSPINE_RUN_DIR": str(self._folder / "run"),
        }
        bare = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return bare | theirs | folders


def until(condition: Callable[[], bool], what: str, composed: Composed) -> None:
    """Wait for it."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"{what} did not come:\n{composed.told()}")
        time.sleep(0.2)


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> int:
    """The status with which the web answers; 0 where nothing does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture
def composed(engines: Engines, redis_url: str, tmp_path: Path, source_dir: Path) -> Iterator[Composed]:
    """compose.yaml's processes, to be started."""
    Path(settings.MARKETSPINE_ARCHIVE_DIR).mkdir()
    with engines.using("postgresql") as ledger:
        processes = Composed(tmp_path, ledger.url, redis_url, free_port())
        try:
            yield processes
        finally:
            processes.stop()


def owe_the_weekly_run() -> None:
    """Let the weekly run's last slot be later than the installation, as it is on every Monday but the first."""
    PeriodicTask.objects.filter(name="weekly run").update(start_time=timezone.now() - timedelta(days=30))
    PeriodicTask.objects.filter(name="daily re-check").update(enabled=False)
    PeriodicTasks.update_changed()


@pytest.mark.promise(10)
@pytest.mark.skipif(
    not EVERYTHING and not no_containers(),
    reason="test_pods.py runs the same commands, in containers; FAULTS=all runs these as well",
)
def test_a_scheduled_run_goes_through_web_beat_and_workers(composed: Composed, source_dir: Path) -> None:
    publish(source_dir, weeks=last_fridays(13, market_today()), seed=7, size=Size.SMALL)
    assert composed.start("migrate").wait(PATIENCE) == 0, composed.told()
    owe_the_weekly_run()
    for name in ("web", "worker-ingest", "worker-calc", "beat"):
        composed.start(name)

    until(lambda: answer(composed.port, "/readyz") == 200, "the web", composed)
    assert answer(composed.port, "/admin/login/") == 200
    assert answer(composed.port, "/static/admin/css/base.css") == 200
    until(lambda: Run.objects.exclude(status=RunStatus.RUNNING).exists(), "the end of a run", composed)

    run = Run.objects.get()
    assert (run.trigger, run.schedule, run.status, run.worker) == (Trigger.BEAT, "weekly run", RunStatus.SUCCEEDED, "")
    assert {step.worker for step in run.partitions.all()} != {""}
    for name in ("web", "worker-ingest", "beat"):
        assert composed.is_healthy(name), name
    check_that_all_end_when_told(composed)


def check_that_all_end_when_told(composed: Composed) -> None:
    """SIGTERM: everything finishes by itself, as an orchestrator expects."""
    processes = {name: process for name, process in composed.running.items() if name != "migrate"}
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    assert {name: process.wait(PATIENCE) for name, process in processes.items()} == dict.fromkeys(processes, 0)


def test_behind_a_proxy_that_speaks_tls_one_can_log_in(composed: Composed) -> None:
    """Django refuses a form that comes from https:// where it takes itself to be reached by http://."""
    get_user_model().objects.create_superuser("operator", "", "a-password")
    composed.start("web")
    until(lambda: answer(composed.port, "/readyz") == 200, "the web", composed)

    form = proxied(composed.port, "GET", {})
    token = SimpleCookie(form.headers["Set-Cookie"])["csrftoken"].value
    sent = urlencode({"csrfmiddlewaretoken": token, "username": "operator", "password": "a-password"})
    answered = proxied(composed.port, "POST", {"Cookie": f"csrftoken={token}", "Origin": f"https://{SITE}"}, sent)

    assert (answered.status, answered.headers["Location"]) == (302, "/admin/")


def proxied(port: int, method: str, headers: dict[str, str], body: str = "") -> http.client.HTTPResponse:
    """What the login page answers to a proxy of another address than gunicorn's own, as one outside the container has."""
    own = {"Host": SITE, "X-Forwarded-Proto": "https", "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=("127.0.0.2", 0))
    connection.request(method, "/admin/login/", body, own | headers)
    return connection.getresponse()
