"""A worker told to stop finishes what it has; a source that hangs, or a task that does, ends as a failed partition."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.calendar import PartitionKey
from pipeline.models import Anomaly, Category, Outcome, PartitionStatus, Run, RunStatus, Severity
from tests.commands.publications import OTC, TIER_1
from tests.faults.conftest import Work
from tests.faults.signalling import word
from tests.fleet import PATIENCE, Fleet
from tests.ledger_state import ledger_state, partition_states

CALM = {"MARKETSPINE_STALE_AFTER_SECONDS": "60"}  # nobody is taken to be dead because the machine is slow
ONE_WEEK_AT_A_TIME = {"MARKETSPINE_MAX_IN_FLIGHT": "3"}


def apply(chosen: dict[str, str], settings: Settings) -> None:
    """Set for this process what the workers get by their environment."""
    for name, value in chosen.items():
        setattr(settings, name, int(value))


def status_of(run: Run, key: PartitionKey) -> str:
    """Where a partition of the run stands."""
    return run.partitions.get(partition__week_ending=key.week_ending, partition__tier=key.tier).status


@pytest.mark.promise(9, 10)
@pytest.mark.parametrize(("pool", "held", "finished"), [("solo", TIER_1, 1), ("prefork", OTC, 3)])
def test_a_worker_told_to_stop_finishes_what_it_has_and_leaves_the_rest_to_others(
    fleet: Fleet, work: Work, settings: Settings, tmp_path: Path, pool: str, held: PartitionKey, finished: int
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    apply(CALM | ONE_WEEK_AT_A_TIME, settings)
    run = work.launch()
    worker = fleet.worker(f"MEET={meeting} captures.make before {word(held)}", pool=pool, **CALM, **ONE_WEEK_AT_A_TIME)
    fleet.wait_for(lambda: any(meeting.iterdir()))

    worker.send_signal(signal.SIGTERM)
    fleet.wait_for(lambda: "Warm shutdown" in fleet.told())
    assert status_of(run, held) == PartitionStatus.RUNNING
    (meeting / "go on").touch()

    assert worker.wait(PATIENCE) == 0, fleet.told()
    assert status_of(run, held) == PartitionStatus.DONE
    assert sorted(run.partitions.values_list("status", flat=True)) == ["DONE"] * finished + ["PENDING"] * (6 - finished)

    fleet.worker(**CALM)
    fleet.heal(run)
    assert run.status == RunStatus.SUCCEEDED
    assert list(run.partitions.values_list("attempts", flat=True)) == [1] * 6
    assert ledger_state() == work.end


@dataclass(frozen=True, slots=True)
class Hanging:
    """Where the partition OTC hangs, in which pool, what ends it, and what becomes of it."""

    point: str
    pool: str
    limits: dict[str, str]
    category: Category
    severity: Severity
    reason: str
    attempts: int


SOURCE = Hanging(
    "HANG sources.files.FilesSource.fetch before",
    "solo",
    {"MARKETSPINE_FETCH_SECONDS": "1"},
    Category.FETCH_FAILED,
    Severity.WARN,
    "the source 'files' did not answer within 1 seconds",
    attempts=2,
)
TASK = Hanging(
    "HANG reading.read_beside before",
    "prefork",
    {"MARKETSPINE_SOFT_LIMIT_SECONDS": "3"},
    Category.INTERNAL,
    Severity.ERROR,
    "SoftTimeLimitExceeded: SoftTimeLimitExceeded()",
    attempts=1,
)
DEAF_TASK = Hanging(
    "DEAF reading.read_beside before",
    "prefork",
    {"MARKETSPINE_SOFT_LIMIT_SECONDS": "3", "MARKETSPINE_HARD_LIMIT_SECONDS": "4"},
    Category.STALLED,
    Severity.CRITICAL,
    "given up after 2 attempts: each time its worker died or hung",
    attempts=2,
)
# A message has the limits of who sends it: here this process.
SENT = {
    "MARKETSPINE_SOFT_LIMIT_SECONDS": "CELERY_TASK_SOFT_TIME_LIMIT",
    "MARKETSPINE_HARD_LIMIT_SECONDS": "CELERY_TASK_TIME_LIMIT",
}


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
    fleet: Fleet, work: Work, settings: Settings, hanging: Hanging
) -> None:
    chosen = CALM | {"MARKETSPINE_MAX_ATTEMPTS": "2"} | hanging.limits
    apply({SENT.get(name, name): value for name, value in chosen.items()}, settings)
    run = work.launch()
    worker = fleet.worker(f"{hanging.point} {word(OTC)}", pool=hanging.pool, **chosen)
    fleet.heal(run)

    assert run.status == RunStatus.FAILED
    failed = run.partitions.get(outcome=Outcome.FAILED)
    assert (failed.partition.key, failed.reason, failed.attempts) == (OTC, hanging.reason, hanging.attempts)
    anomaly = Anomaly.objects.open().get(run=run, message=hanging.reason)
    assert (anomaly.category, anomaly.severity) == (hanging.category, hanging.severity)
    assert anomaly.partition == failed.partition
    assert partition_states() == {key: state for key, state in work.end.partitions.items() if key != OTC}
    assert fleet.end(worker) == 0, fleet.told()
