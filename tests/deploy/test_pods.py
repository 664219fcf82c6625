"""What the manifests run, run here, by a user that no passwd knows on a root that is only read, until a run is through."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings

from pipeline.finra.calendar import last_fridays, market_today
from pipeline.finra.samples import Size, publish
from pipeline.models import Run, RunStatus, Trigger
from tests.containers.test_composed import free_port, owe_the_weekly_run
from tests.deploy.kustomizing import render
from tests.deploy.pods_here import Cluster
from tests.faults.extent import EVERYTHING
from tests.services.fronts import port_in_front_of
from tests.support.engines import Engines

PATIENCE = 120
ARCHIVE, SOURCE = "/var/lib/marketspine/archive", "/var/lib/marketspine/source"


def until(condition: Callable[[], bool], what: str, cluster: Cluster) -> None:
    """Wait for it."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"{what} did not come:\n{cluster.told()}")
        time.sleep(0.2)


@pytest.fixture
def publications(source_dir: Path) -> Path:
    """Thirteen weeks in a folder that anybody may read."""
    publish(source_dir, weeks=last_fridays(13, market_today()), seed=7, size=Size.SMALL)
    return source_dir


@pytest.fixture
def fleet(engines: Engines, redis_url: str, tmp_path: Path, publications: Path) -> Iterator[Cluster]:
    """The pods of the OpenShift overlay, with a PostgreSQL, a Redis and files to read."""
    with engines.using("postgresql") as ledger:
        given = urlsplit(ledger.url)
        socket = Path(parse_qs(given.query)["host"][0]) / ".s.PGSQL.5432"
        with port_in_front_of(socket) as port:
            database = f"postgresql://{given.username}@127.0.0.1:{port}{given.path}"
            secrets = {"secret_key": "k" * 50, "database_url": database, "broker_url": redis_url}
            cluster = Cluster(
                tmp_path,
                render("openshift"),
                secrets,
                overridden={"MARKETSPINE_SOURCE": "files"},
                mounted={SOURCE: publications},
                port=free_port(),
            )
            try:
                yield cluster
            finally:
                cluster.stop()


@pytest.mark.skipif(not EVERYTHING, reason="with FAULTS=all; the CronJob's pod runs always")
def test_a_scheduled_run_goes_through_the_pods(fleet: Cluster) -> None:
    assert fleet.run("migrate-0.1.0") == 0, fleet.told()
    owe_the_weekly_run()
    deployments = ("web", "worker-ingest", "worker-calc", "beat")
    for name in deployments:
        fleet.start(name)
    for name in deployments:
        until(lambda: fleet.probe(name, "startupProbe"), f"the start of {name}", fleet)  # noqa: B023 - asked at once
    until(lambda: fleet.probe("web", "readinessProbe"), "the web", fleet)
    until(lambda: Run.objects.exclude(status=RunStatus.RUNNING).exists(), "the end of a run", fleet)

    run = Run.objects.get()
    assert (run.trigger, run.schedule, run.status) == (Trigger.BEAT, "weekly run", RunStatus.SUCCEEDED), fleet.told()
    archived = [path for path in fleet.claim("marketspine-archive").rglob("*") if path.is_file()]
    assert {path.suffix for path in archived} >= {".zst", ".parquet"}
    assert [name for name in deployments if not fleet.probe(name, "livenessProbe")] == []

    for process in fleet.running.values():
        process.send_signal(signal.SIGTERM)
    assert {name: process.wait(PATIENCE) for name, process in fleet.running.items()} == dict.fromkeys(deployments, 0)


def test_the_cronjob_captures_the_weeks_on_its_volume(tmp_path: Path, publications: Path) -> None:
    own = {
        "MARKETSPINE_SOURCE": "files",
        "MARKETSPINE_SOURCE_DIR": "/mnt/publications",
        "MARKETSPINE_LOOKBACK_WEEKS": "1",
    }
    cluster = Cluster(tmp_path, render("small-openshift"), {}, own, {"/mnt/publications": publications})

    assert cluster.run("weekly") == 0, cluster.told()

    volume = cluster.claim("marketspine")
    with closing(sqlite3.connect(volume / "marketspine.sqlite3")) as ledger:
        runs = ledger.execute("SELECT status, requested_by FROM pipeline_run").fetchall()
        captures = ledger.execute("SELECT count(*) FROM pipeline_capture").fetchone()[0]
    assert runs == [("SUCCEEDED", "cronjob")]
    assert captures == len(list((volume / "archive").rglob("*.parquet"))) - len(
        list(volume.rglob("analytics/**/*.parquet"))
    )
    assert captures >= 3
    assert settings.BASE_DIR.name not in cluster.told()
