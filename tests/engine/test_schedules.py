"""The schedules: what the migration creates, when they fire, and what they owe."""

from __future__ import annotations

import importlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks
from django_celery_beat.tzcrontab import TzAwareCrontab
from pytest_django import Settings

from marketspine import celery_app
from pipeline import task_names
from pipeline.engine import schedules, slots
from pipeline.finra.calendar import Tier
from pipeline.models import Trigger
from pipeline.runs.request import Only
from tests.support import engines
from tests.support.engines import Ledger

NEW_YORK = ZoneInfo("America/New_York")
WEEKLY, DAILY, SWEEP, CHECK_UP = "weekly run", "daily re-check", "stalled-run sweep", "readiness and doctor"
LAST_YEAR, EVERYTHING = "restatement probe, last year", "restatement probe, everything"
MONDAY = datetime(2025, 12, 15, 10, 30, tzinfo=NEW_YORK)
TUESDAY = MONDAY + timedelta(days=1)
SECOND, A_WEEK = timedelta(seconds=1), timedelta(days=7)


def new_york(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=NEW_YORK)  # type: ignore[misc,arg-type]


@pytest.fixture
def installed(ledger: Ledger, source_dir: Path) -> Ledger:
    """The product was installed at midnight before that Monday."""
    PeriodicTask.objects.filter(task=task_names.START_SCHEDULED).update(start_time=new_york(2025, 12, 15))
    return ledger


def edit(name: str, **changes: object) -> None:
    """Save the row as the admin does."""
    row = PeriodicTask.objects.get(name=name)
    for field, value in changes.items():
        setattr(row, field, value)
    row.save()


def owed_at(now: datetime) -> list[tuple[str, datetime]]:
    return [(due.schedule, due.slot) for due in schedules.owed(now)]


def crontab(**fields: object) -> TzAwareCrontab:
    return TzAwareCrontab(**{"tz": NEW_YORK, "minute": "30", "hour": "10-10", **fields})


PRUNING = '{"older_than": 730, "keep_first": true, "keep_last": 3}'


def test_it_creates_the_schedules(ledger: Ledger) -> None:
    columns = ("name", "task", "kwargs", "enabled", "expire_seconds", "interval__every", "interval__period")
    assert list(PeriodicTask.objects.order_by("pk").values_list(*columns)) == [
        (WEEKLY, "pipeline.start_scheduled", "{}", True, None, None, None),
        (DAILY, "pipeline.start_scheduled", "{}", True, None, None, None),
        (SWEEP, "pipeline.sweep", "{}", True, 55, 1, "minutes"),
        (CHECK_UP, "pipeline.check_up", "{}", True, None, None, None),
        (LAST_YEAR, "pipeline.start_scheduled", '{"lookback_weeks": 52, "probe": true}', True, None, None, None),
        (EVERYTHING, "pipeline.start_scheduled", '{"lookback_weeks": 520, "probe": true}', True, None, None, None),
        ("archive check", "pipeline.check_archive", "{}", True, None, None, None),
        ("prune plan", "pipeline.plan_pruning", PRUNING, False, None, None, None),
        ("removal of pruned captures", "pipeline.remove_pruned", "{}", True, None, None, None),
        ("archive verification", "pipeline.check_archive", '{"everything": true}', True, None, None, None),
    ]
    written = CrontabSchedule.objects.order_by("pk").values_list("minute", "hour", "day_of_week", "timezone")
    assert [(*fields, str(zone)) for *fields, zone in written] == [
        ("30", "10-10", "1", "America/New_York"),
        ("30", "10-10", "2-5", "America/New_York"),
        ("0", "12-12", "*", "America/New_York"),
        ("30", "6-6", "0", "America/New_York"),
        ("30", "7-7", "*", "America/New_York"),
        ("30", "11-11", "*", "America/New_York"),
        ("0", "5-5", "6", "America/New_York"),
        ("30", "5-5", "*", "America/New_York"),
        ("0", "14-14", "*", "America/New_York"),
    ]
    assert all(PeriodicTask.objects.values_list("description", flat=True))


def test_every_task_scheduled_exists(ledger: Ledger) -> None:
    celery_app.loader.import_default_modules()
    assert set(PeriodicTask.objects.values_list("task", flat=True)) <= celery_app.tasks.keys()


def test_an_installation_owes_no_slot_before_it(ledger: Ledger) -> None:
    installed_at = PeriodicTask.objects.get(name=WEEKLY).start_time
    assert owed_at(installed_at) == []


def test_what_an_operator_edited_is_not_overwritten(ledger: Ledger) -> None:
    edit(WEEKLY, kwargs='{"lookback_weeks": 12}', enabled=False, description="mine")
    CrontabSchedule.objects.filter(periodictask__name=DAILY).update(hour="9")
    before = rows_of_beat()

    create_schedules()

    assert rows_of_beat() == before


def test_what_is_missing_is_created_and_beat_is_told(ledger: Ledger) -> None:
    PeriodicTask.objects.filter(name=DAILY).delete()
    told = PeriodicTasks.last_change()

    create_schedules()

    assert PeriodicTask.objects.count() == 10
    assert PeriodicTasks.last_change() > told


def create_schedules() -> None:
    importlib.import_module("pipeline.migrations.0003_schedules").create_schedules(apps, None)


def rows_of_beat() -> dict[str, list[dict[str, object]]]:
    models = apps.get_app_config("django_celery_beat").get_models()
    return {model._meta.db_table: list(model._base_manager.order_by("pk").values()) for model in models}


def test_wiping_brings_back_the_schedules_that_the_migration_left(ledger: Ledger) -> None:
    before = rows_of_beat()
    edit(WEEKLY, enabled=False)
    PeriodicTask.objects.filter(name=SWEEP).delete()
    own = IntervalSchedule.objects.create(every=1, period="days")
    own_number = PeriodicTask.objects.create(name="own", task="own", interval=own).pk

    engines.wipe()

    assert rows_of_beat() == before
    assert PeriodicTask.objects.create(name="own", task="own", interval_id=1).pk == own_number


@pytest.mark.parametrize(
    ("fields", "now", "slot"),
    [
        # New York's offset is five hours in winter and four in summer.
        ({"day_of_week": "1"}, new_york(2025, 12, 15, 10, 29, 59), datetime(2025, 12, 8, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "1"}, MONDAY, datetime(2025, 12, 15, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "1"}, MONDAY + timedelta(days=6), datetime(2025, 12, 15, 15, 30, tzinfo=UTC)),
        # Summer time begins on Sunday, 8 March 2026, and ends on Sunday, 1 November.
        ({"day_of_week": "1"}, new_york(2026, 3, 9, 10, 29), datetime(2026, 3, 2, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "1"}, new_york(2026, 3, 9, 10, 30), datetime(2026, 3, 9, 14, 30, tzinfo=UTC)),
        ({"day_of_week": "1"}, new_york(2026, 11, 2, 10, 29), datetime(2026, 10, 26, 14, 30, tzinfo=UTC)),
        ({"day_of_week": "1"}, new_york(2026, 11, 2, 10, 30), datetime(2026, 11, 2, 15, 30, tzinfo=UTC)),
        # 02:30 is skipped in March and comes when the skipped hour ends; 01:30 is repeated in November and comes once.
        ({"hour": "2"}, new_york(2026, 3, 8, 12), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        ({"hour": "1"}, datetime(2026, 11, 1, 6, 10, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ({"hour": "2,3", "minute": "0,30"}, new_york(2026, 3, 8, 3, 10), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        ({"hour": "1"}, new_york(2026, 11, 1, 12), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        # Tuesday to Friday: on a Monday, the newest is Friday's.
        ({"day_of_week": "2-5"}, MONDAY, datetime(2025, 12, 12, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "2-5"}, TUESDAY, datetime(2025, 12, 16, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "0"}, MONDAY, datetime(2025, 12, 14, 15, 30, tzinfo=UTC)),
        ({"day_of_week": "sun"}, MONDAY, datetime(2025, 12, 14, 15, 30, tzinfo=UTC)),
        # Days of the week, of the month and months must all hold, as in Celery.
        ({"day_of_week": "5", "day_of_month": "13"}, MONDAY, datetime(2025, 6, 13, 14, 30, tzinfo=UTC)),
        ({"month_of_year": "2", "day_of_month": "28"}, MONDAY, datetime(2025, 2, 28, 15, 30, tzinfo=UTC)),
        ({"month_of_year": "2", "day_of_month": "29"}, MONDAY, datetime(2024, 2, 29, 15, 30, tzinfo=UTC)),
        ({"hour": "*", "minute": "*/15"}, MONDAY - SECOND, datetime(2025, 12, 15, 15, 15, tzinfo=UTC)),
    ],
)
def test_last_slot_is_the_newest_instant_that_fires(fields: dict[str, str], now: datetime, slot: datetime) -> None:
    assert slots.last_slot(crontab(**fields), now) == slot
    assert slots.last_slot(crontab(**fields), now.astimezone(UTC)) == slot


@pytest.mark.parametrize(
    ("fields", "begin", "slot"),
    [
        ({"day_of_week": "1"}, MONDAY, MONDAY),
        ({"day_of_week": "1"}, MONDAY + timedelta(microseconds=1), MONDAY + timedelta(days=7)),
        ({"hour": "2"}, new_york(2026, 3, 8, 1), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        # In the repeated hour the slot has passed: the next is the day after.
        ({"hour": "1"}, datetime(2026, 11, 1, 6, 10, tzinfo=UTC), datetime(2026, 11, 2, 6, 30, tzinfo=UTC)),
    ],
)
def test_first_slot_is_the_next_instant_that_fires(fields: dict[str, str], begin: datetime, slot: datetime) -> None:
    assert slots.first_slot(crontab(**fields), begin) == slot


def test_the_weekly_run_is_owed_from_monday_half_past_ten(installed: Ledger) -> None:
    assert owed_at(MONDAY - SECOND) == []
    assert owed_at(MONDAY) == [(WEEKLY, MONDAY)]


def test_after_days_of_standstill_each_schedule_owes_its_newest_slot_only(installed: Ledger) -> None:
    thursday = MONDAY + timedelta(days=3)
    assert owed_at(thursday + SECOND) == [(WEEKLY, MONDAY), (DAILY, thursday)]


def test_a_weekly_slot_is_owed_until_the_next(installed: Ledger) -> None:
    edit(DAILY, enabled=False)
    assert owed_at(MONDAY + A_WEEK - SECOND) == [(WEEKLY, MONDAY)]
    assert owed_at(MONDAY + A_WEEK) == [(WEEKLY, MONDAY + A_WEEK)]


def test_a_slot_over_a_week_old_is_passed_over(installed: Ledger) -> None:
    CrontabSchedule.objects.filter(periodictask__name=WEEKLY).update(day_of_month="15", day_of_week="*")
    edit(DAILY, enabled=False)
    assert owed_at(MONDAY + A_WEEK) == [(WEEKLY, MONDAY)]
    assert owed_at(MONDAY + timedelta(days=8)) == []


def test_a_schedule_that_is_off_or_has_expired_owes_nothing(installed: Ledger) -> None:
    edit(WEEKLY, enabled=False)
    edit(DAILY, expires=TUESDAY + SECOND)
    assert owed_at(TUESDAY) == [(DAILY, TUESDAY)]
    assert owed_at(TUESDAY + SECOND) == []


def test_the_operator_says_how_far_back_which_tiers_and_from_where(installed: Ledger) -> None:
    edit(WEEKLY, kwargs='{"lookback_weeks": 2, "tiers": "otc,T1", "source": "files"}')
    assert schedules.owed(MONDAY) == [
        schedules.Owed(
            schedule=WEEKLY,
            slot=MONDAY,
            lookback_weeks=2,
            tiers=(Tier.OTC, Tier.NMS_TIER_1),
            source="files",
            probe=False,
        )
    ]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ("{", "its keyword arguments are not JSON: "),
        ("[6]", 'its keyword arguments are [6]; write {"lookback_weeks": 6}'),
        (
            '{"force": true, "weeks": 1}',
            "unknown keyword arguments: force, weeks; known are lookback_weeks, probe, source",
        ),
        ('{"lookback_weeks": 0}', "lookback_weeks is 0; it must be a number from 1 to 520"),
        ('{"lookback_weeks": true}', "lookback_weeks is True; it must be a number from 1 to 520"),
        ('{"lookback_weeks": "6"}', "lookback_weeks is '6'; it must be a number from 1 to 520"),
        ('{"tiers": ["OTC"]}', "tiers is ['OTC']; write \"NMS_TIER_1,NMS_TIER_2,OTC\" or fewer of them"),
        ('{"tiers": "T9"}', "unknown tier 'T9'; known tiers: NMS_TIER_1, NMS_TIER_2, OTC"),
        ('{"source": "ftp"}', "unknown source 'ftp'; known are api, files"),
        ('{"probe": 1}', "probe is 1; it must be true or false"),
    ],
)
def test_a_bad_row_is_named_in_the_log_and_stops_no_other(
    installed: Ledger, caplog: pytest.LogCaptureFixture, kwargs: str, said: str
) -> None:
    edit(WEEKLY, kwargs=kwargs)
    assert owed_at(TUESDAY) == [(DAILY, TUESDAY)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert f"the schedule 'weekly run' starts no run: {said}" in caplog.text


def test_a_sweep_is_owed_once_the_source_can_be_asked(installed: Ledger, settings: Settings) -> None:
    sunday = new_york(2025, 12, 21, 6, 30)
    assert (LAST_YEAR, sunday) not in owed_at(sunday)

    settings.MARKETSPINE_SOURCE = "api"

    (due,) = [due for due in schedules.owed(sunday) if due.schedule == LAST_YEAR]
    request = due.request(sunday.date())
    asked = (request.command, request.lookback_weeks, request.only, request.probe, request.source, request.origin)
    url = settings.MARKETSPINE_FINRA_API_URL
    assert asked == ("probe_restatements", 52, Only.CAPTURED, True, "api", url)


def test_a_sweep_cannot_be_run_now_on_files(ledger: Ledger) -> None:
    row = PeriodicTask.objects.get(name=EVERYTHING)
    with pytest.raises(schedules.BadSchedule, match="the source 'files' cannot be asked whether something moved"):
        schedules.request_of(row, requested_by="", reason="", trigger=Trigger.ADMIN)


def test_a_schedule_without_a_crontab_that_can_be_read_starts_nothing(
    installed: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    edit(WEEKLY, crontab=None, interval=IntervalSchedule.objects.get())
    CrontabSchedule.objects.filter(periodictask__name=DAILY).update(hour="25")
    assert owed_at(TUESDAY) == []
    assert "'weekly run' starts no run: only a crontab says which slot a run is for" in caplog.text
    assert "'daily re-check' starts no run: its crontab cannot be read: " in caplog.text
