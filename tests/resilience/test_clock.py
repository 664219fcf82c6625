"""A clock that was ahead and is set back: as-of questions, heartbeats and what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from pipeline.engine import canvas, sweeper
from pipeline.models import Capture, PartitionStatus, RunPartition, WorkerSign
from pipeline.resilience import clock
from pipeline.review import alarms
from pipeline.review.doctor import diagnose
from pipeline.runs import liveness, recovery
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request
from pipeline.vintages import read
from tests.management.calling import call
from tests.management.publications import DAY, OTC, WEEK, publish, restate
from tests.support.engines import Ledger

NOON = datetime(2025, 12, 15, 17, tzinfo=UTC)
A_YEAR = timedelta(days=365)
RUN = ("run_weekly", "--weeks", str(WEEK), "--tiers", "OTC", "--run-date", str(DAY))


def captured_at(moment: datetime) -> None:
    with time_machine.travel(moment, tick=False):
        assert call(*RUN).code == 0


def known(instant: datetime) -> list[int]:
    return [capture.version for capture in read.captures_as_of(instant, [OTC])]


@pytest.mark.promise(5)
def test_captures_of_a_fast_clock_are_found_as_of_now(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    captured_at(NOON)
    restate(source_dir, OTC)
    captured_at(NOON + A_YEAR)
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        assert known(timezone.now()) == [1]
        (finding,) = [one for one in diagnose(1, DAY).findings if "the clock was ahead" in one.what]
        assert "is known only from 2026-12-15 17:00 UTC on" in finding.what
        assert finding.command == "python manage.py recover_runs"

    restate(source_dir, OTC, shares="102")
    captured_at(NOON + timedelta(hours=2))

    assert known(NOON + timedelta(hours=1)) == [1]
    assert known(NOON + timedelta(hours=2, seconds=1)) == [3]
    moments = Capture.objects.order_by("version").values_list("normalized_at", flat=True)
    assert list(moments) == sorted(moment for moment in moments if moment)
    with time_machine.travel(NOON + timedelta(hours=3), tick=False):
        assert clock.known_in_the_future() == []


def test_a_skew_of_a_minute_is_no_fault(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    captured_at(NOON + timedelta(minutes=1))
    with time_machine.travel(NOON, tick=False):
        assert sweeper.sweep().known_now == ()


def test_the_command_says_what_it_has_mended(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    captured_at(NOON + A_YEAR)
    PeriodicTask.objects.filter(name="stalled-run sweep").update(last_run_at=NOON + A_YEAR)
    with time_machine.travel(NOON, tick=False):
        health = call("health", "beat")
        ran = call("recover_runs")
        assert call("recover_runs").lines == ["Nothing is stalled."]
    assert health.code == 1
    assert health.lines == [
        "beat: 'stalled-run sweep' was fired at 2026-12-15 17:00 UTC, which is to come: the clock was ahead and was set "
        "back; `python manage.py recover_runs` mends it"
    ]
    assert ran.lines == [
        "The schedule 'stalled-run sweep' waited for a clock that was ahead; it counts from now on.",
        "finra.otc_transparency:OTC:2025-11-14:20251215 was to be known in the future; it is known from now on.",
    ]


def test_signs_from_the_future_are_no_signs_of_life(ledger: Ledger) -> None:
    PeriodicTask.objects.update(last_run_at=NOON + A_YEAR)
    WorkerSign.objects.create(machine="elsewhere", seen_at=NOON + A_YEAR)
    said = [alarm.what for alarm in alarms.raised(NOON)]
    assert "Beat is silent: it has sent nothing since the clock was set back" in said
    PeriodicTask.objects.update(last_run_at=NOON)
    assert "No worker has answered since the clock was set back" in [alarm.what for alarm in alarms.raised(NOON)]


@pytest.mark.promise(9)
def test_a_partition_claimed_and_one_sent_in_the_future_are_taken_back(ledger: Ledger, source_dir: Path) -> None:
    publish(source_dir, OTC)
    request = Request(command="run_weekly", run_date=DAY, tiers=(OTC.tier,), weeks=(WEEK,), origin=str(source_dir))
    with time_machine.travel(NOON + A_YEAR, tick=False):
        run = canvas.launch(make_plan(request))
        run.partitions.update(sent_at=timezone.now())
    with time_machine.travel(NOON, tick=False):
        assert recovery.resend_unstarted() == 1
        run.partitions.update(
            status=PartitionStatus.RUNNING,
            worker=f"elsewhere:1:{liveness.machine()}",
            heartbeat_at=NOON + A_YEAR,
            attempts=1,
        )
        assert recovery.requeue_stalled() == (1, 0)
    assert RunPartition.objects.get().status == PartitionStatus.PENDING
    run.worker, run.heartbeat_at = "elsewhere:1:x", NOON + A_YEAR
    with time_machine.travel(NOON, tick=False):
        assert liveness.is_dead(run)
