"""One plan on three engines: embedded on SQLite, embedded on PostgreSQL, two workers on PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline.finra.calendar import last_fridays
from pipeline.finra.samples import Size, publish, restate
from pipeline.task_names import START_SCHEDULED
from tests.faults.extent import EVERYTHING
from tests.management.calling import call
from tests.support.engines import Engines
from tests.support.fleet import Fleet
from tests.support.ledger_state import check_all_runs_ended, check_consistent, checksum, ledger_state

DAY, NEXT_DAY = date(2026, 1, 5), date(2026, 1, 6)
WEEKS = 6 if EVERYTHING else 2
ENGINES = ("embedded on SQLite", "embedded on PostgreSQL", "two workers on PostgreSQL and Redis")


@pytest.fixture
def samples(source_dir: Path) -> Path:
    """Publications of so many weeks that WEEKS of each tier are due."""
    publish(source_dir, weeks=last_fridays(WEEKS + 7, DAY), seed=7, size=Size.SMALL)
    return source_dir


@pytest.fixture
def fleet(engines: Engines, redis_url: str, tmp_path: Path, settings: Settings) -> Iterator[Fleet]:
    """Two workers, on the PostgreSQL that the test uses then."""
    (tmp_path / "logs").mkdir()
    with engines.using("postgresql") as ledger:
        started = Fleet(ledger.url, redis_url, tmp_path / "logs")
    try:
        yield started
    finally:
        started.stop()


def run_and_run_again(samples: Path, *more: str) -> list[str]:
    """WEEKS of each tier; then two fifths of all restated, and the same weeks again. The checksum after each."""
    sums = []
    for day in (DAY, NEXT_DAY):
        ran = call("run_weekly", "--run-date", day, "--lookback-weeks", WEEKS, *more)
        assert ran.code == 0, ran
        check_all_runs_ended()
        check_consistent()
        sums.append(checksum(ledger_state()))
        restate(samples, seed=3, share=0.4)
    return sums


@pytest.mark.promise(2, 12)
def test_the_same_plan_ends_in_the_same_state_on_every_engine(
    engines: Engines, samples: Path, fleet: Fleet, redis_url: str, settings: Settings, archive_dir: Path
) -> None:
    published = {path.name: path.read_bytes() for path in samples.iterdir()}
    found = {}
    for engine in ENGINES:
        for name, content in published.items():
            (samples / name).write_bytes(content)
        with engines.using("sqlite" if "SQLite" in engine else "postgresql"):
            if "Redis" not in engine:
                found[engine] = run_and_run_again(samples)
                continue
            PeriodicTask.objects.filter(task=START_SCHEDULED).update(
                enabled=False
            )  # it may be 10:30 in New York just now
            for _ in range(2):
                fleet.worker()
            settings.CELERY_BROKER_URL = redis_url
            with fleet.sending():
                found[engine] = run_and_run_again(samples, "--queue")

    first, again = found[ENGINES[0]]
    assert first != again
    assert list(found.values()) == [[first, again]] * len(ENGINES)
