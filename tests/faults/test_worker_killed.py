"""A worker killed anywhere in a partition's or a week's work: a run ends, and as if nothing had happened."""

from __future__ import annotations

import signal

import pytest

from pipeline.models import RunStatus
from tests.faults.conftest import Work
from tests.fleet import Fleet, died
from tests.ledger_state import check_consistent, ledger_state

# The first few are tried with every test run, all of them by `make test-faults`.
POINTS = [
    "steps._claim after 2",
    "captures.make before 1",
    "vintages.store after 2",
    "steps._finish before 3",
    "analytics.calculate_week after 1",
    "runs.settle before 1",
]


@pytest.mark.promise(9)
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point_leaves_what_another_finishes(fleet: Fleet, work: Work, point: str) -> None:
    run = work.launch()
    victim = fleet.worker(f"SIGKILL {point}")
    assert died(victim) == -signal.SIGKILL, fleet.told()
    check_consistent()

    fleet.worker()
    fleet.heal(run)

    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end
