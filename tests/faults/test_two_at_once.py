"""Two processes run the same plan at once: each piece of work is done once, and neither fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import AnalyticsSnapshot, Capture, Outcome, RunPartition
from tests.faults.extent import spread
from tests.management.calling import Ran, call, finish, start
from tests.management.publications import DAY, OLDER_WEEK, WEEK, publish_week, restate
from tests.support.engines import Ledger, wipe
from tests.support.ledger_state import check_all_runs_ended, check_consistent, ledger_state

# After the sweep neither has begun a run: SQLite lets no second process into the transaction in which one begins.
POINTS = ["process.before 1", "sweep.after 1", "week.close.before 1", "commit.before 1"]
RUN = ("run_weekly", "--weeks", f"{WEEK},{OLDER_WEEK}", "--run-date", str(DAY), "--json")


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    """The folder in which two processes find each other."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    return folder


def run_twice_at_once(ledger: Ledger, meeting: Path, point: str, *arguments: str) -> list[Ran]:
    """Start two processes on the same command, which meet at a point and then go on together."""
    words = ("-m", "tests.faults.signalling", f"MEET={meeting}", *point.split(), *arguments)
    started = [start(ledger, *words) for _ in range(2)]
    ended = [finish(process) for process in started]
    assert len(list(meeting.iterdir())) == 2, ended
    return ended


@pytest.mark.promise(10)
@pytest.mark.parametrize(("ledger", "point"), spread(POINTS), indirect=["ledger"])
def test_two_runs_at_once_capture_every_partition_once(
    ledger: Ledger, source_dir: Path, meeting: Path, point: str
) -> None:
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)

    ended = run_twice_at_once(ledger, meeting, point, *RUN)

    assert [(ran.code, ran.document["status"]) for ran in ended] == [(0, "SUCCEEDED")] * 2, ended
    assert Capture.objects.count() == 6
    assert AnalyticsSnapshot.objects.count() == 2
    assert RunPartition.objects.filter(outcome=Outcome.INGESTED).count() == 6
    assert RunPartition.objects.filter(outcome=Outcome.UNCHANGED).count() == 6
    check_all_runs_ended()
    check_consistent()
    together = ledger_state()
    wipe()
    assert call(*RUN).code == 0
    assert ledger_state() == together


@pytest.mark.promise(10)
def test_two_runs_at_once_store_a_restatement_once(ledger: Ledger, source_dir: Path, meeting: Path) -> None:
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    assert call(*RUN).code == 0
    newest = PartitionKey(WEEK, Tier.NMS_TIER_1)
    restate(source_dir, newest)

    ended = run_twice_at_once(ledger, meeting, "process.before 1", *RUN)

    assert [ran.code for ran in ended] == [0, 0], ended
    assert Capture.objects.count() == 7
    assert list(Capture.objects.filter(partition__week_ending=WEEK, version=2).values_list("rows_changed")) == [(1,)]
    assert AnalyticsSnapshot.objects.count() == 3
    check_consistent()


@pytest.mark.promise(10)
def test_of_two_processes_one_goes_on_with_an_interrupted_run(ledger: Ledger, source_dir: Path, meeting: Path) -> None:
    publish_week(source_dir)
    publish_week(source_dir, OLDER_WEEK)
    stopped = finish(start(ledger, "-m", "tests.faults.signalling", "SIGTERM", "process.before", "3", *RUN))
    assert stopped.code == 1

    ended = run_twice_at_once(ledger, meeting, "run.resume.before 1", *RUN)

    assert [ran.code for ran in ended] == [0, 0], ended
    assert sorted(ran.document["run"] for ran in ended) == [1, 2]
    assert Capture.objects.count() == 6
    assert set(RunPartition.objects.filter(run=1).values_list("attempts", flat=True)) == {1}
    check_all_runs_ended()
