"""A worker killed anywhere in a partition's or a week's work: a run ends, and as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import Anomaly, Category, Outcome, Run, RunStatus, Severity
from tests.faults.conftest import Work
from tests.faults.extent import EVERYTHING, SEED
from tests.faults.signalling import word
from tests.management.publications import OTC
from tests.support.fleet import Fleet, died
from tests.support.ledger_state import check_consistent, ledger_state, partition_states

# The week to capture is sent first; the week of which a tier is restated, OTC, when the first is closed. So its
# partition is the sixth to be claimed and fetched, and the fourth to be captured.
ONE_WEEK_AT_A_TIME = 3

# Every test run tries some of these, drawn by chance; `make test-faults` all, and those that follow.
REPRESENTATIVE = [
    "claim.after 2",
    "file.flush.before 1",  # half of a file has its name, or none
    "file.link.after 4",  # the file of the restated partition has its name, and no capture names it
    "publish.after 2",  # all of the capture is written, and nothing is committed
    "commit.after 4",
    "celery.worker.request.Request.acknowledge.before 3",  # done, and the broker does not know
    "snapshot.save.after 2",
    "celery.canvas.Signature.apply_async.before 3",  # half of the second week is sent
    "run.move.before 1",
]
PARTITION = [
    "claim.before 1",
    "claim.after 6",
    "perform.before 2",
    "fetch.before 1",
    "fetch.after 6",
    "read.before 2",
    "read.after 3",
    "compare.after 1",  # of the restated partition
    "decide.after 4",
    "archive.before 1",
    "archive.after 4",
    "commit.before 4",
    "commit.label.after 1",
    "vintage.write.before 3",
    "file.flush.before 2",
    "file.link.before 1",
    "file.link.after 1",
    "vintage.write.after 2",
    "commit.transaction.before 4",
    "commit.check.after 1",
    "commit.insert.after 4",
    "rows.record.after 1",
    "record.claim.after 3",
    "publish.after 4",
    "record.confirm.before 4",  # committed
    "finish.before 6",
    "finish.after 3",
    "celery.worker.request.Request.acknowledge.after 3",
    "celery.backends.redis.RedisBackend.on_chord_part_return.before 3",
    "celery.canvas.Signature.apply_async.before 1",  # all of the header is done, the body is not sent
]
WEEK = [
    "week.close.before 1",
    "week.calculate.before 1",
    "snapshot.save.after 1",
    "week.calculate.after 2",
    "week.judge.before 2",
    "verdicts.store.after 1",
    "week.judge.after 1",
    "week.close.after 1",
    "run.advance.before 2",
    "week.send.before 1",  # marked as sent, and not sent
    "celery.canvas._chord.apply_async.after 1",
    "run.settle.before 1",
    "run.move.after 1",
    "weeks.judge.before 1",
]
DRAWN = 5
POINTS = REPRESENTATIVE + PARTITION + WEEK if EVERYTHING else sorted(random.Random(SEED).sample(REPRESENTATIVE, DRAWN))

# Where one worker dies, and then the one that sweeps up after it.
SWEEPS = [
    ("claim.after 2", "stalled.check.after 1"),
    ("week.close.before 1", "week.calculate.after 1"),
    ("claim.after 2", "sweep.before 1"),
    ("finish.before 3", "stalled.requeue.after 1"),
    ("claim.after 6", "unstarted.resend.after 1"),
    ("week.send.before 1", "weeks.close.after 1"),
    ("run.move.before 1", "run.settle.before 1"),
]
INSTANTS = range(20 if EVERYTHING else 2)
LIFE = 1.0  # seconds: what a worker needs for the whole run on a quiet machine, less a little


@pytest.mark.promise(9)
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point_leaves_what_another_finishes(
    fleet: Fleet, work: Work, settings: Settings, point: str
) -> None:
    settings.MARKETSPINE_MAX_IN_FLIGHT = ONE_WEEK_AT_A_TIME
    run = work.launch()

    _dies(fleet, point)

    _ends_as_if_undisturbed(fleet, work, run)


@pytest.mark.promise(9)
@pytest.mark.parametrize(("first", "second"), SWEEPS if EVERYTHING else SWEEPS[:1])
def test_a_worker_killed_while_it_sweeps_leaves_what_another_finishes(
    fleet: Fleet, work: Work, settings: Settings, first: str, second: str
) -> None:
    settings.MARKETSPINE_MAX_IN_FLIGHT = ONE_WEEK_AT_A_TIME
    run = work.launch()

    _dies(fleet, first)
    _dies(fleet, second)

    _ends_as_if_undisturbed(fleet, work, run)


@pytest.mark.promise(9)
@pytest.mark.parametrize("instant", INSTANTS)
def test_workers_killed_at_any_instant_leave_what_others_finish(fleet: Fleet, work: Work, instant: int) -> None:
    chance = random.Random(f"{SEED}-{instant}")
    pool, after = ("prefork", "solo")[instant % 2], chance.uniform(0, LIFE)
    run = work.launch()
    victim = fleet.worker(pool=pool)
    fleet.wait_for(lambda: run.partitions.filter(attempts__gt=0).exists())
    time.sleep(after)

    assert fleet.kill(victim) == -signal.SIGKILL
    done = run.partitions.filter(status="DONE").count()
    print(f"FAULT_SEED={SEED}: {pool} killed {after:.3f} s after its first task began, {done} of 6 partitions done")

    _ends_as_if_undisturbed(fleet, work, run)


@pytest.mark.promise(9)
def test_a_killed_child_is_replaced_its_partition_retried(fleet: Fleet, work: Work, tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    run = work.launch()
    worker = fleet.worker(f"MEET={meeting} commit.before {word(OTC)}", pool="prefork")
    fleet.wait_for(lambda: any(meeting.iterdir()))
    child = int(next(meeting.iterdir()).name)
    assert os.getpgid(child) == worker.pid != child

    os.kill(child, signal.SIGKILL)  # the next child to come to the point is the second there, and goes on
    fleet.heal(run)

    assert (run.status, worker.poll()) == (RunStatus.SUCCEEDED, None)
    assert _attempts(run) == {2: [str(OTC)], 1: sorted({str(key) for key in work.end.partitions} - {str(OTC)})}
    assert ledger_state() == work.end


@pytest.mark.promise(3, 9)
@pytest.mark.parametrize("pool", ["prefork", "solo"] if EVERYTHING else ["prefork"])
def test_a_partition_that_kills_its_workers_harms_no_other(
    fleet: Fleet, work: Work, settings: Settings, pool: str
) -> None:
    settings.MARKETSPINE_MAX_ATTEMPTS = 3
    run = work.launch()
    for _ in range(1 if pool == "prefork" else settings.MARKETSPINE_MAX_ATTEMPTS):  # a pool replaces its children
        worker = fleet.worker(f"SIGKILL commit.before {word(OTC)}", pool=pool, MARKETSPINE_MAX_ATTEMPTS="3")
        fleet.heal(run, until=partial(_has_ended, worker))
    fleet.worker()
    fleet.heal(run)

    assert run.status == RunStatus.FAILED
    assert _attempts(run)[3] == [str(OTC)]
    given_up = run.partitions.get(outcome=Outcome.FAILED)
    assert given_up.reason == "failed after 3 attempts: each time its worker died or hung"
    anomaly = Anomaly.objects.open().get(severity=Severity.CRITICAL)
    assert (anomaly.category, anomaly.partition) == (Category.STALLED, given_up.partition)
    assert not run.weeks.filter(closed_at__isnull=True).exists()
    assert partition_states() == {key: state for key, state in work.end.partitions.items() if key != OTC}


def _dies(fleet: Fleet, point: str) -> None:
    victim = fleet.worker(f"SIGKILL {point}", MARKETSPINE_MAX_IN_FLIGHT=str(ONE_WEEK_AT_A_TIME))
    assert died(victim) == -signal.SIGKILL, fleet.told()
    check_consistent()


def _ends_as_if_undisturbed(fleet: Fleet, work: Work, run: Run) -> None:
    fleet.worker()
    fleet.heal(run)
    assert run.status == RunStatus.SUCCEEDED, fleet.told()
    assert ledger_state() == work.end


def _has_ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def _attempts(run: Run) -> dict[int, list[str]]:
    """The partitions of a run by how often they were tried."""
    tried: dict[int, list[str]] = {}
    for step in run.partitions.select_related("partition").order_by("partition__week_ending", "partition__tier"):
        tried.setdefault(step.attempts, []).append(str(step.partition.key))
    return tried
