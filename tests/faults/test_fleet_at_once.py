"""Two of everything at once: beats, sweepers, engines. Each piece of work is done once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from pipeline.engine import schedules, sweeper
from pipeline.finra.calendar import PartitionKey, Tier, is_due, look_back, market_today
from pipeline.models import Capture, PartitionStatus, Run, RunStatus, Trigger
from tests.faults.conftest import Work
from tests.faults.stopping import stopped_worker
from tests.management.calling import finish, start_on
from tests.management.publications import DAY, OLDER_WEEK, WEEK, publish
from tests.support.fleet import Fleet
from tests.support.ledger_state import check_consistent, ledger_state

RUN = ("run_weekly", "--weeks", f"{WEEK},{OLDER_WEEK}", "--run-date", str(DAY))


@pytest.mark.promise(10)
def test_two_beats_and_two_workers_make_one_run_for_a_slot(fleet: Fleet, source_dir: Path) -> None:
    today = market_today()
    due = [key for week in look_back(1, today) for tier in Tier if is_due(key := PartitionKey(week, tier), today)]
    for key in due:
        publish(source_dir, key)
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(name="stalled-run sweep").update(interval=second, crontab=None)
    PeriodicTask.objects.filter(name="daily re-check").update(enabled=False)
    PeriodicTask.objects.filter(name="weekly run").update(
        start_time=timezone.now() - schedules.MADE_UP_FOR - timedelta(days=1),
        kwargs='{"lookback_weeks": 1}',
    )
    PeriodicTasks.update_changed()
    for _ in range(2):
        fleet.worker()
        fleet.beat()

    fleet.wait_for(Run.objects.exclude(status=RunStatus.RUNNING).exists)
    fleet.wait_for(PeriodicTask.objects.filter(name="stalled-run sweep", total_run_count__gte=1).exists)

    run = Run.objects.get()
    assert (run.trigger, run.schedule, run.status) == (Trigger.BEAT, "weekly run", RunStatus.SUCCEEDED)
    assert Capture.objects.count() == len(due)
    check_consistent()


@pytest.mark.promise(10)
def test_sweepers_at_once_fight_neither_each_other_nor_a_live_worker(fleet: Fleet, work: Work) -> None:
    run = work.launch()
    with stopped_worker(fleet, "commit.before 2"):
        fleet.worker()
        failed: list[Exception] = []

        def sweep() -> None:
            try:
                with fleet.sending():
                    for _ in range(5):
                        sweeper.sweep()
            except Exception as error:
                failed.append(error)
            finally:
                connection.close()

        sweeping = [threading.Thread(target=sweep) for _ in range(4)]
        for thread in sweeping:
            thread.start()
        for thread in sweeping:
            thread.join()

        def the_others_are_done() -> bool:
            with fleet.sending():
                sweeper.sweep()
            return run.partitions.exclude(status=PartitionStatus.DONE).count() <= 1

        fleet.wait_for(the_others_are_done)

    fleet.heal(run)

    assert failed == []
    assert run.status == RunStatus.SUCCEEDED
    assert ledger_state() == work.end


@pytest.mark.promise(10)
def test_a_command_in_its_own_process_beside_a_run_on_the_queue(fleet: Fleet, work: Work) -> None:
    run = work.launch()
    fleet.worker()
    beside = start_on(fleet.database_url, "manage.py", *RUN, "--reason", "beside")

    fleet.heal(run)

    assert finish(beside).code == 0
    assert Run.objects.filter(status=RunStatus.SUCCEEDED).count() == 3
    assert ledger_state() == work.end
