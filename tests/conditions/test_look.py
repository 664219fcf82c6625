"""What no transaction makes true is found by looking, once a minute, whoever looks; beat looks where no worker does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline.conditions import look, stand_in
from pipeline.models import Anomaly, Backup, Channel, ChannelKind, Event, Notice, WorkerSign
from pipeline.notices import sending
from pipeline.review import alarms
from tests.management.calling import call
from tests.management.publications import DAY, OTC, WEEK, publish_week
from tests.notices.receiver import receiving
from tests.support.engines import Ledger

NOON = datetime(DAY.year, DAY.month, DAY.day, 17, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """It is noon in New York, DAY, until a test moves the clock."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def open_ones() -> set[tuple[str, str, str]]:
    return {(one.event, one.place, one.severity) for one in Notice.objects.unclosed()}


def all_is_well() -> None:
    """Beat and a worker have just shown signs of life, and no schedule owes a run."""
    PeriodicTask.objects.update(last_run_at=timezone.now(), start_time=timezone.now())
    WorkerSign.objects.update_or_create(machine="here", defaults={"seen_at": timezone.now()})


def test_each_alarm_of_the_dashboard_is_a_notice_until_it_is_over(
    ledger: Ledger, clock: time_machine.Traveller, settings: Settings
) -> None:
    all_is_well()
    look.look(timezone.now())
    assert open_ones() == set()
    clock.shift(timedelta(minutes=11))
    PeriodicTask.objects.update(last_run_at=timezone.now())
    settings.MARKETSPINE_BACKUP = "expected"
    look.look(timezone.now())
    assert open_ones() == {("WORKERS_SILENT", "workers", "CRITICAL"), ("BACKUP_OLD", "backup", "CRITICAL")}
    assert {alarm.event for alarm in alarms.raised()} == {Event.WORKERS_SILENT, Event.BACKUP_OLD}
    all_is_well()
    Backup.objects.create(made_at=timezone.now(), finished_at=timezone.now(), place="here", name="b1")
    look.look(timezone.now())
    assert open_ones() == set()
    clock.shift(timedelta(hours=37))
    look.look(timezone.now())
    assert ("BACKUP_OLD", "backup", "CRITICAL") in open_ones()
    assert ("BEAT_SILENT", "beat", "CRITICAL") in open_ones()


def test_a_slot_that_passed_without_a_run_is_missed(ledger: Ledger, clock: time_machine.Traveller) -> None:
    all_is_well()
    clock.shift(timedelta(days=1))
    WorkerSign.objects.update(seen_at=timezone.now())
    PeriodicTask.objects.update(last_run_at=timezone.now())
    look.look(timezone.now())
    assert ("SCHEDULE_MISSED", "daily re-check", "ERROR") in open_ones()


def test_one_process_of_all_looks_each_minute(ledger: Ledger, clock: time_machine.Traveller) -> None:
    assert look.look_in_turn()
    assert not look.look_in_turn()
    clock.shift(timedelta(minutes=1))
    assert look.look_in_turn()
    clock.shift(timedelta(days=-1))  # the clock was ahead
    assert look.look_in_turn()


def test_what_is_late_gets_graver_and_what_no_run_tried_is_late_a_day_after(
    ledger: Ledger, source_dir: Path, clock: time_machine.Traveller
) -> None:
    publish_week(source_dir, WEEK)
    for path in source_dir.glob("*otc*"):
        path.unlink()
    call("run_weekly", "--weeks", WEEK, "--run-date", DAY)
    look.look(timezone.now())
    late = Notice.objects.unclosed().filter(event=Event.LATE)
    assert [(one.place, one.severity, one.category) for one in late.all()] == [(str(OTC), "WARN", "LATE")]
    clock.shift(timedelta(days=4))
    look.look(timezone.now())
    assert late.get(place=str(OTC)).severity == "ERROR"
    assert not late.exclude(place=str(OTC)).exists()  # the next tiers are due in some days
    Anomaly.objects.get(category="LATE").resolve(by="olive", note="FINRA has a holiday")
    look.look(timezone.now())
    assert not late.filter(place=str(OTC)).exists()
    clock.shift(timedelta(days=5))
    look.look(timezone.now())
    untried = {(one.place, one.severity, one.category) for one in late.all()}
    assert untried == {
        ("2025-11-21 NMS_TIER_2", "WARN", ""),
        ("2025-11-21 OTC", "WARN", ""),
        ("2025-12-05 NMS_TIER_1", "WARN", ""),
    }


def test_beat_tells_that_no_worker_answers(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller
) -> None:
    settings.MARKETSPINE_NOTIFY_HOSTS = ["127.0.0.1"]
    all_is_well()
    with receiving() as server:
        monkeypatch.setenv("SLACK_URL", server.url)
        Channel.objects.create(name="ops", kind=ChannelKind.SLACK, secret="SLACK_URL")
        assert not stand_in.tell()
        clock.shift(timedelta(minutes=11))
        PeriodicTask.objects.update(last_run_at=timezone.now())
        assert stand_in.tell()
        assert "[Market Spine] CRITICAL Workers silent: workers" in server.texts
        all_is_well()
        look.look(timezone.now())
        sending.send_all()
        assert "[Market Spine] RESOLVED Workers silent: workers" in server.texts
