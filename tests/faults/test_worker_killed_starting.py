"""A worker killed while it starts the run that a schedule owes: the run is started once, and comes to its end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline.engine import schedules
from pipeline.finra.calendar import PartitionKey, Tier, look_back, market_today
from pipeline.models import Run, RunStatus
from pipeline.task_names import START_SCHEDULED
from tests.faults.extent import EVERYTHING
from tests.faults.prepared import Prepared
from tests.management.calling import call
from tests.management.publications import publish
from tests.support.fleet import Fleet, died
from tests.support.ledger_state import LedgerState, check_all_runs_ended, check_consistent, ledger_state

SCHEDULE = "weekly run"
POINTS = [
    "run.dispatch.before 1",  # written, and nothing is sent
    "run.start.after 1",  # not committed
    "slot.start.before 1",
    "week.send.before 1",
    "slot.start.after 1",
]


@pytest.fixture
def undisturbed(fleet: Fleet, source_dir: Path, archive_dir: Path) -> LedgerState:
    """The end of a run over the newest weeks; the ledger holds nothing, and its schedule owes that run."""
    today = market_today()
    for tier in Tier:
        for week in look_back(1, today):
            publish(source_dir, PartitionKey(week, tier))
    archive_dir.mkdir()
    empty = Prepared(archive_dir)
    assert call("run_weekly", "--lookback-weeks", 1).code == 0
    end = ledger_state()
    empty.restore()
    others = PeriodicTask.objects.filter(task=START_SCHEDULED).exclude(name=SCHEDULE)
    others.update(enabled=False)  # it may be 10:30 in New York just now
    PeriodicTask.objects.filter(name=SCHEDULE).update(
        start_time=timezone.now() - schedules.MADE_UP_FOR, kwargs=json.dumps({"lookback_weeks": 1})
    )
    return end


@pytest.mark.promise(9, 10)
@pytest.mark.parametrize("point", POINTS if EVERYTHING else POINTS[:1])
def test_a_worker_killed_starting_a_run_leaves_one(fleet: Fleet, undisturbed: LedgerState, point: str) -> None:
    assert died(fleet.worker(f"SIGKILL {point}")) == -signal.SIGKILL, fleet.told()
    check_consistent()

    fleet.worker()
    fleet.wait_for(Run.objects.filter(schedule=SCHEDULE).exists)
    run = fleet.heal(Run.objects.get(schedule=SCHEDULE))

    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == undisturbed
    check_consistent()
    check_all_runs_ended()
