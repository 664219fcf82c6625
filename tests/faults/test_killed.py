"""A process killed anywhere, then started again: the same end as if nothing had happened, and every run ends."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.finra.calendar import Tier
from pipeline.models import PartitionStatus, Run, RunStatus
from tests.faults.begun import RUN, Beginnings
from tests.faults.extent import EVERYTHING, spread
from tests.management.calling import Ran, call, finish, start
from tests.management.publications import DAY, OLDER_WEEK, WEEK
from tests.support.engines import Ledger
from tests.support.ledger_state import LedgerState, check_all_runs_ended, check_consistent, ledger_state

BACKFILL = ("backfill", "--from", str(OLDER_WEEK), "--to", str(WEEK), "--run-date", str(DAY))


POINTS = [
    "partitions.create.before 1",
    "run.start.after 1",
    "process.after 1",
    "ingest.after 2",
    "archive.before 2",
    "file.flush.before 3",  # all of a file is written, and none of it is on the disk for certain
    "file.link.before 1",  # it is on the disk, and has no name yet
    "file.link.after 2",  # it has its name, and no capture names it
    "commit.before 1",
    "commit.transaction.before 2",  # payload and vintage file are there
    "rows.record.after 4",
    "publish.after 1",  # all is written, and nothing is committed
    "record.confirm.before 2",  # committed
    "commit.after 2",
    "finish.before 6",
    "week.calculate.before 1",
    "week.calculate.after 2",
    "week.judge.after 1",
    "run.settle.before 1",
]


def signalled(ledger: Ledger, what: str, point: str, *arguments: str) -> Ran:
    """Run a command that sends itself a signal at a point: "commit.before 2"."""
    return finish(start(ledger, "-m", "tests.faults.signalling", what, *point.split(), *arguments))


@pytest.fixture
def undisturbed(ledger: Ledger, beginnings: Beginnings, archive_dir: Path, settings: Settings) -> Iterator[LedgerState]:
    """The end state of RUN when nothing disturbs it; the ledger then is as before RUN: one week held, one restated."""
    yield beginnings.begin(archive_dir, settings).end
    check_all_runs_ended()
    check_consistent()


@pytest.mark.promise(9)
@pytest.mark.parametrize(("ledger", "point"), spread(POINTS if EVERYTHING else POINTS[::3]), indirect=["ledger"])
def test_killed_at_a_point_and_run_again_ends_as_if_undisturbed(
    ledger: Ledger, undisturbed: LedgerState, point: str
) -> None:
    assert signalled(ledger, "SIGKILL", point, *RUN).code == -signal.SIGKILL
    check_consistent()

    ran = call(*RUN)

    assert ran.code == 0, ran
    assert ledger_state() == undisturbed


@pytest.mark.promise(9)
def test_a_killed_backfill_goes_on_where_it_was(ledger: Ledger, undisturbed: LedgerState) -> None:
    killed = signalled(ledger, "SIGKILL", "process.before 4", *BACKFILL)
    assert killed.code == -signal.SIGKILL
    run = Run.objects.latest("pk")
    assert run.status == RunStatus.RUNNING

    ran = call(*BACKFILL)

    assert ran.code == 0
    assert f"Run {run.pk} died before its end; its unfinished work is requeued." in ran.lines
    assert f"Resuming run {run.pk}: 3 of 6 partitions are done." in ran.lines
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert Run.objects.latest("pk") == run
    assert list(run.partitions.values_list("attempts", flat=True)) == [1] * 6
    assert ledger_state() == undisturbed


@pytest.mark.promise(7)
def test_the_dry_run_of_a_killed_backfill_lists_what_is_left(ledger: Ledger, undisturbed: LedgerState) -> None:
    signalled(ledger, "SIGKILL", "process.before 4", *BACKFILL)

    planned = call(*BACKFILL, "--mode", "dry-run", "--json").document["plan"]

    assert [(step["week_ending"], step["tier"]) for step in planned] == [(str(OLDER_WEEK), tier) for tier in Tier]
    ran = call(*BACKFILL, "--json").document
    assert {(s["week_ending"], s["tier"]) for s in ran["steps"][3:]} == {(s["week_ending"], s["tier"]) for s in planned}


@pytest.mark.promise(9)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stopped_run_is_interrupted_and_resumed(ledger: Ledger, undisturbed: LedgerState, name: str) -> None:
    stopped = signalled(ledger, name, "vintage.write.after 2", *RUN)

    assert stopped.code == 1
    assert "stopped; what was finished is kept, the same command goes on" in stopped.err
    run = Run.objects.latest("pk")
    assert run.status == RunStatus.INTERRUPTED
    left = Counter(run.partitions.values_list("status", "attempts"))
    assert left == {(PartitionStatus.DONE, 1): 2, (PartitionStatus.PENDING, 0): 4}, "the one under way is finished"

    ran = call(*RUN)

    assert ran.code == 0
    assert f"Resuming run {run.pk}: 2 of 6 partitions are done." in ran.lines
    assert ledger_state() == undisturbed


def test_a_run_that_is_told_to_stop_prints_one_document(ledger: Ledger, undisturbed: LedgerState) -> None:
    stopped = signalled(ledger, "SIGTERM", "process.before 2", *RUN, "--json")

    assert stopped.code == 1
    assert stopped.document == {
        "error": "stopped; what was finished is kept, the same command goes on",
        "exit_code": 1,
    }
    assert call(*RUN).code == 0


@pytest.mark.promise(9)
def test_killed_again_and_again_it_still_comes_to_its_end(ledger: Ledger, undisturbed: LedgerState) -> None:
    for point in ("process.after 1", "commit.after 1", "week.calculate.after 1"):
        assert signalled(ledger, "SIGKILL", point, *RUN).code == -signal.SIGKILL

    assert call(*RUN).code == 0

    assert Run.objects.filter(status=RunStatus.SUCCEEDED).count() == 2
    assert ledger_state() == undisturbed
