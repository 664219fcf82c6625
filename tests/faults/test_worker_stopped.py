"""A worker told to stop finishes what it has; a source that hangs, or a task that does, ends as a failed partition."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from celery.canvas import Signature
from pytest_django import Settings

from pipeline import task_names
from pipeline.engine import canvas
from pipeline.finra.calendar import PartitionKey
from pipeline.models import Anomaly, Category, Outcome, PartitionStatus, Run, RunPartition, RunStatus, Severity, Tally
from pipeline.runs.plan import plan_with
from pipeline.runs.sources import source_of
from tests.faults.conftest import Work
from tests.faults.extent import EVERYTHING
from tests.faults.signalling import word
from tests.management.publications import OTC, TIER_1
from tests.support.fleet import PATIENCE, Fleet
from tests.support.ledger_state import ledger_state, partition_states

ONE_WEEK_AT_A_TIME = 3

of_all = pytest.mark.skipif(not EVERYTHING, reason="with FAULTS=all")


def status_of(run: Run, key: PartitionKey) -> str:
    """Where a partition of the run stands."""
    return run.partitions.get(partition__week_ending=key.week_ending, partition__tier=key.tier).status


@pytest.mark.promise(9, 10)
@pytest.mark.parametrize(("pool", "held", "finished"), [("solo", TIER_1, 1), ("prefork", OTC, 3)])
def test_a_stopped_worker_finishes_its_own_and_no_more(
    fleet: Fleet, work: Work, settings: Settings, tmp_path: Path, pool: str, held: PartitionKey, finished: int
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    settings.MARKETSPINE_MAX_IN_FLIGHT = ONE_WEEK_AT_A_TIME
    run = work.launch()
    point = f"MEET={meeting} commit.before {word(held)}"
    worker = fleet.worker(point, pool=pool, MARKETSPINE_MAX_IN_FLIGHT=str(ONE_WEEK_AT_A_TIME))
    fleet.wait_for(lambda: any(meeting.iterdir()))

    worker.send_signal(signal.SIGTERM)
    fleet.wait_for(lambda: "Warm shutdown" in fleet.told())
    assert status_of(run, held) == PartitionStatus.RUNNING
    (meeting / "go on").touch()

    assert worker.wait(PATIENCE) == 0, fleet.told()
    assert status_of(run, held) == PartitionStatus.DONE
    assert sorted(run.partitions.values_list("status", flat=True)) == ["DONE"] * finished + ["PENDING"] * (6 - finished)

    fleet.worker()
    fleet.heal(run)
    assert run.status == RunStatus.SUCCEEDED
    assert list(run.partitions.values_list("attempts", flat=True)) == [1] * 6
    assert ledger_state() == work.end


@pytest.mark.promise(9)
def test_a_stopped_worker_begins_nothing_with_an_idle_process(fleet: Fleet, work: Work, tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    request = replace(work.request, weeks=(OTC.week_ending,), tiers=(OTC.tier,))
    with fleet.sending():
        held = canvas.launch(plan_with(request, source_of(request)))
    worker = fleet.worker(f"MEET={meeting} commit.before {word(OTC)}", pool="prefork")
    fleet.wait_for(lambda: any(meeting.iterdir()))
    worker.send_signal(signal.SIGTERM)
    fleet.wait_for(lambda: "Warm shutdown" in fleet.told())

    after = work.launch()
    (meeting / "go on").touch()

    assert worker.wait(PATIENCE) == 0, fleet.told()
    assert status_of(held, OTC) == PartitionStatus.DONE
    assert set(after.partitions.values_list("status", "attempts")) == {(PartitionStatus.PENDING, 0)}
    fleet.worker()
    assert fleet.heal(after).status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end


CUT = {"MARKETSPINE_SOFT_SHUTDOWN_SECONDS": "3"}
JSON = {"MARKETSPINE_LOG_FORMAT": "json", "MARKETSPINE_LOG_LEVEL": "INFO"}


@pytest.mark.promise(9)
@pytest.mark.parametrize("how", [pytest.param("its orchestrator", marks=of_all), "its soft shutdown"])
def test_a_try_that_is_cut_after_the_order_to_stop_is_no_attempt(
    fleet: Fleet, work: Work, tmp_path: Path, how: str
) -> None:
    """Many nodes are drained one after another: a partition that moves each time is not STALLED."""
    run = work.launch()
    cutting = CUT if how == "its soft shutdown" else {}
    point = f"HANG commit.before {word(OTC)}"
    worker = fleet.worker(point, pool="prefork", MARKETSPINE_RUN_DIR=str(tmp_path), **JSON, **cutting)
    otc = run.partitions.filter(partition__week_ending=OTC.week_ending, partition__tier=OTC.tier)
    fleet.wait_for(otc.filter(status=PartitionStatus.RUNNING).exists)
    assert (tmp_path / "w0.alive").exists()

    worker.send_signal(signal.SIGQUIT if cutting else signal.SIGTERM)  # as REMAP_SIGTERM=SIGQUIT has it
    fleet.wait_for(otc.filter(stop_ordered_at__isnull=False).exists)
    if cutting:
        fleet.wait_for(lambda: "Cold shutdown" in fleet.told())
    fleet.kill(worker)
    fleet.worker()
    fleet.heal(run)

    assert run.status == RunStatus.SUCCEEDED
    assert list(run.partitions.values_list("attempts", flat=True)) == [1] * 6
    assert Tally.objects.sums()["work_attempts"][(("outcome", "cut"),)] >= 1  # what its other process had, too
    assert ledger_state() == work.end
    for line in (fleet.logs / "0.log").read_text().splitlines():
        assert json.loads(line)["process"] in {"w0", "command"}, line


@dataclass(frozen=True, slots=True)
class Hanging:
    """Where the partition OTC hangs, in which pool, what ends it, and what becomes of it."""

    point: str
    pool: str
    limits: dict[str, int]
    category: Category
    severity: Severity
    reason: str
    attempts: int


SOURCE = Hanging(
    "HANG fetch.before",
    "solo",
    {},
    Category.FETCH_FAILED,
    Severity.WARN,
    "the source 'files' did not answer within 4 seconds",
    attempts=2,
)
TASK = Hanging(
    "HANG read.before",
    "prefork",
    {"soft_time_limit": 3},
    Category.INTERNAL,
    Severity.ERROR,
    "SoftTimeLimitExceeded: SoftTimeLimitExceeded()",
    attempts=1,
)
DEAF_TASK = Hanging(
    "DEAF commit.before",
    "prefork",
    {"soft_time_limit": 3, "time_limit": 4},
    Category.STALLED,
    Severity.CRITICAL,
    "failed after 2 attempts: each time its worker died or hung",
    attempts=2,
)


def limit(key: PartitionKey, limits: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the messages for this partition carry limits: no other is to fail because the machine is slow."""
    build = canvas._task

    def task(name: str, *arguments: object, **options: object) -> Signature[None]:
        meant = RunPartition.objects.filter(partition__week_ending=key.week_ending, partition__tier=key.tier)
        hurried = name == task_names.PROCESS_PARTITION and arguments[0] in meant.values_list("pk", flat=True)
        return build(name, *arguments, **options, **(limits if hurried else {}))

    monkeypatch.setattr(canvas, "_task", task)


@pytest.mark.promise(3, 9)
@pytest.mark.parametrize(
    "hanging",
    [
        pytest.param(SOURCE, id="a source, until its deadline"),
        pytest.param(TASK, id="a task, until its soft limit"),
        pytest.param(DEAF_TASK, id="a task, until its hard limit"),
    ],
)
def test_what_hangs_ends_as_a_failed_partition_and_harms_no_other(
    fleet: Fleet, work: Work, settings: Settings, monkeypatch: pytest.MonkeyPatch, hanging: Hanging
) -> None:
    settings.MARKETSPINE_MAX_ATTEMPTS = 2
    limit(OTC, hanging.limits, monkeypatch)
    run = work.launch()
    worker = fleet.worker(
        f"{hanging.point} {word(OTC)}", pool=hanging.pool, MARKETSPINE_MAX_ATTEMPTS="2", MARKETSPINE_FETCH_SECONDS="4"
    )
    fleet.heal(run)

    assert run.status == RunStatus.FAILED
    failed = run.partitions.get(outcome=Outcome.FAILED)
    assert (failed.partition.key, failed.reason, failed.attempts) == (OTC, hanging.reason, hanging.attempts)
    anomaly = Anomaly.objects.open().get(run=run, message=hanging.reason)
    assert (anomaly.category, anomaly.severity) == (hanging.category, hanging.severity)
    assert anomaly.partition == failed.partition
    assert partition_states() == {key: state for key, state in work.end.partitions.items() if key != OTC}
    assert fleet.end(worker) == 0, fleet.told()
