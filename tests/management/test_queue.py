"""`--queue`: the run goes to the workers; the command waits for it, or does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.engine import waiting
from pipeline.management import progress
from pipeline.models import Run, RunPartition, RunStatus
from tests.management.calling import call, finish, start_in
from tests.management.publications import DAY, OLDER_WEEK, OTC, WEEK, publish_week
from tests.support.engines import Engines, Ledger
from tests.support.fleet import HASTE, Fleet

QUEUED = ("--weeks", str(WEEK), "--run-date", str(DAY), "--queue")


@pytest.fixture
def fleet(engines: Engines, redis_url: str, tmp_path: Path, source_dir: Path, settings: Settings) -> Iterator[Fleet]:
    """Workers to be started on PostgreSQL and Redis; commands of this process send to them."""
    (tmp_path / "logs").mkdir()
    for name, value in HASTE.items():
        setattr(settings, name, int(value))
    settings.CELERY_BROKER_URL = redis_url
    publish_week(source_dir)
    with engines.using("postgresql") as ledger:
        started = Fleet(ledger.url, redis_url, tmp_path / "logs")
        try:
            with started.sending():
                yield started
        finally:
            started.stop()


@pytest.mark.parametrize("command", [("run_weekly",), ("backfill", "--weeks", WEEK)])
def test_without_a_broker_there_is_no_queue(ledger: Ledger, source_dir: Path, command: tuple[object, ...]) -> None:
    name, *arguments = map(str, command)
    ran = call(name, *arguments, "--run-date", DAY, "--queue")
    assert ran.code == 2
    assert "CELERY_BROKER_URL names no broker; drop it to run here" in ran.err
    assert not Run.objects.exists()


def test_not_to_wait_is_for_the_queue(ledger: Ledger, source_dir: Path) -> None:
    ran = call("run_weekly", "--no-wait", "--run-date", DAY)
    assert ran.code == 2
    assert "--no-wait goes with --queue" in ran.err


def test_no_wait_prints_the_run_and_leaves_it_to_workers(fleet: Fleet) -> None:
    ran = call("run_weekly", *QUEUED, "--no-wait", "--json")

    run = Run.objects.get()
    assert (ran.code, ran.document) == (0, {"run": run.pk, "status": "RUNNING", "sent": True})
    assert (run.worker, run.partitions.filter(attempts=0).count()) == ("", 3)
    fleet.worker()
    assert fleet.heal(run).status == RunStatus.SUCCEEDED


def test_waiting_prints_each_partition_and_the_summary(fleet: Fleet) -> None:
    fleet.worker()
    ran = call("run_weekly", *QUEUED)
    assert ran.code == 0, ran
    assert sorted(ran.lines[:3]) == [
        "2025-11-14 NMS_TIER_1  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_1:2025-11-14:20251215",
        "2025-11-14 NMS_TIER_2  INGESTED     first capture: 4 rows; finra.otc_transparency:NMS_TIER_2:2025-11-14:20251215",
        "2025-11-14 OTC         INGESTED     first capture: 4 rows; finra.otc_transparency:OTC:2025-11-14:20251215",
    ]
    assert "  Exit code              0 (every due partition is good)" in ran.lines


def test_a_run_with_failures_ends_with_1(fleet: Fleet, source_dir: Path) -> None:
    next(source_dir.glob("otc_week_*")).write_bytes(b"<html>")
    fleet.worker()
    ran = call("run_weekly", *QUEUED, "--json")
    assert (ran.code, ran.document["status"], ran.document["ingestion"]["failed"]) == (1, "FAILED", 1)


def test_while_nothing_starts_it_asks_whether_a_worker_is_there(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HINT_SECONDS", 0)
    looks = iter(range(1000))

    def look(run: Run, worker: str) -> bool:
        return next(looks) > 5 and run.pk is not None

    monkeypatch.setattr(waiting, "_poll", look)

    ran = call("run_weekly", *QUEUED)

    assert ran.err.count("Is a worker there? `celery -A marketspine worker`") == 1
    fleet.worker()
    monkeypatch.undo()
    fleet.heal(Run.objects.get())


@pytest.mark.promise(10)
def test_a_weekly_run_overtakes_a_backfill_that_waits(fleet: Fleet, source_dir: Path) -> None:
    publish_week(source_dir, OLDER_WEEK)
    backfill = ("backfill", "--weeks", str(OLDER_WEEK), "--run-date", str(DAY), "--queue", "--no-wait")
    for command in (backfill, ("run_weekly", *QUEUED, "--no-wait")):
        assert call(*command).code == 0

    fleet.worker()
    for run in Run.objects.all():
        fleet.heal(run)

    started = RunPartition.objects.order_by("started_at").values_list("run__command", flat=True)
    assert list(started) == ["run_weekly"] * 3 + ["backfill"] * 3


@pytest.mark.promise(10)
def test_two_commands_at_once_on_the_same_weeks_capture_each_partition_once(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.worker()
    commands = [
        start_in(fleet.environment(), "manage.py", "run_weekly", *QUEUED, "--json", "--reason", reason)
        for reason in ("one", "two")
    ]

    ended = [finish(command).document for command in commands]

    assert [document["status"] for document in ended] == ["SUCCEEDED"] * 2, fleet.told()
    found = RunPartition.objects.filter(partition__week_ending=OTC.week_ending).values_list("outcome", flat=True)
    assert sorted(found) == ["INGESTED"] * 3 + ["UNCHANGED"] * 3


@pytest.mark.promise(10)
def test_the_same_command_again_waits_for_the_run_that_is_under_way(fleet: Fleet) -> None:
    assert call("run_weekly", *QUEUED, "--no-wait").code == 0
    fleet.worker()

    ran = call("run_weekly", *QUEUED)

    assert ran.code == 0
    assert ran.lines[0] == f"Run {Run.objects.get().pk} is under way at the workers."


def test_who_stops_waiting_stops_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: Run, worker: str) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(waiting, "_poll", interrupted)
        ran = call("run_weekly", *QUEUED)

    run = Run.objects.get()
    assert ran.code == 1
    assert f"stopped waiting; run {run.pk} goes on at the workers: `python manage.py cancel_run {run.pk}`" in ran.err
    fleet.worker()
    assert fleet.heal(run).status == RunStatus.SUCCEEDED
