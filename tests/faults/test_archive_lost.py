"""An archive that cannot be written to in the midst of a run: partitions fail aloud, and nothing is half done."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from pipeline.models import Anomaly, Category, Run, RunStatus
from pipeline.weeks import readiness
from tests.faults.conftest import Work
from tests.faults.stopping import stopped_worker
from tests.management.publications import DAY
from tests.support.fleet import Fleet
from tests.support.ledger_state import check_consistent, ledger_state

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def check_it_failed_aloud(run: Run, said: str) -> None:
    """Each partition that could not be archived failed, and its anomaly says why; no capture lacks its payload."""
    assert run.status == RunStatus.FAILED
    anomalies = Anomaly.objects.open().filter(category=Category.INTERNAL)
    assert {anomaly.partition for anomaly in anomalies} == {
        step.partition for step in run.partitions.filter(outcome="FAILED").select_related("partition")
    }
    assert all(said in anomaly.message for anomaly in anomalies)
    check_consistent()


def check_the_next_run_heals(fleet: Fleet, work: Work) -> None:
    """The archive mended, the same run again and a person's word on each anomaly: as if nothing had happened."""
    again = work.launch()
    fleet.heal(again)
    assert again.status == RunStatus.SUCCEEDED
    for anomaly in Anomaly.objects.open():
        anomaly.resolve(by="test", note="the archive is mended")
        week = anomaly.concerns_week
        assert week is not None
        readiness.decide_week(week, DAY)
    assert ledger_state() == work.end


@pytest.mark.promise(1, 3, 4, 9)
def test_an_archive_that_goes_away_fails_what_needs_it_and_nothing_else(
    fleet: Fleet, work: Work, archive_dir: Path
) -> None:
    aside = archive_dir.with_name("archive aside")
    run = work.launch()
    with stopped_worker(fleet, "archive.before 2"):
        archive_dir.rename(aside)
        archive_dir.touch()  # a file, as root may write into any folder
    fleet.heal(run)
    archive_dir.unlink()
    aside.rename(archive_dir)

    check_it_failed_aloud(run, "archive")
    check_the_next_run_heals(fleet, work)


@pytest.mark.promise(1, 3, 4, 9)
@pytest.mark.parametrize("point", ["archive.before 2", "vintage.write.before 2"])
def test_a_full_disk_fails_what_needs_it_and_leaves_no_half_file(fleet: Fleet, work: Work, point: str) -> None:
    run = work.launch()
    with stopped_worker(fleet, point) as worker:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # no file may have a byte
    fleet.heal(run)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, UNLIMITED)

    check_it_failed_aloud(run, "File too large")
    check_the_next_run_heals(fleet, work)
