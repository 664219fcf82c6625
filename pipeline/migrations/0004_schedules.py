"""The schedules. They are created once, and belong to the operators from then on: nothing here changes or removes one."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

# An hour is written as a range: of the crontabs with a plain hour, beat loads only those within two hours of it, by the
# offset from UTC that their zone has in winter (django_celery_beat.schedulers.DatabaseScheduler.enabled_models_qs).
NEW_YORK = {"timezone": "America/New_York", "day_of_month": "*", "month_of_year": "*"}
HALF_PAST_TEN = {"minute": "30", "hour": "10-10", **NEW_YORK}
NOON = {"minute": "0", "hour": "12-12", "day_of_week": "*", **NEW_YORK}
EACH_MINUTE = {"every": 1, "period": "minutes"}

RUNS = {"task": "pipeline.start_scheduled", "kwargs": "{}"}

WEEKLY = (
    "Captures what FINRA has published this Monday, and looks again at the weeks before it for restatements. "
    "lookback_weeks: how far it looks back (MARKETSPINE_LOOKBACK_WEEKS). Also taken: tiers, source. "
    "Missed while nothing ran, it is made up for at the next start."
)
DAILY = (
    "The weekly run again on the days after: holidays move publication, and FINRA restates on any day. "
    "What has not changed is not captured again. Takes what the weekly run takes."
)
SWEEP = (
    "Brings stalled runs to their end: sends lost work again, takes back what died, closes and settles, and starts the "
    "runs that are owed. Leave it on. A sweep that could not start within 55 seconds is dropped for the next."
)
CHECK_UP = (
    "Judges the readiness of the last weeks again and has the doctor look, each noon and, while this is on, after the "
    "end of each run. What the doctor finds is in the worker's log."
)

SCHEDULES = {
    "weekly run": {**RUNS, "crontab": {"day_of_week": "1", **HALF_PAST_TEN}, "description": WEEKLY},
    "daily re-check": {**RUNS, "crontab": {"day_of_week": "2-5", **HALF_PAST_TEN}, "description": DAILY},
    "stalled-run sweep": {
        "task": "pipeline.sweep",
        "interval": EACH_MINUTE,
        "expire_seconds": 55,
        "description": SWEEP,
    },
    "readiness and doctor": {"task": "pipeline.check_up", "crontab": NOON, "description": CHECK_UP},
}


def create_schedules(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    """Create the first schedules."""
    create(apps, SCHEDULES)


def create(apps: Apps, schedules: dict[str, dict[str, object]]) -> None:
    """Create each schedule that is not there by its name. A slot before this moment is never owed.

    A beat that runs already is told: the models of a migration send no signals that would do it.
    """
    there = set(apps.get_model("django_celery_beat", "PeriodicTask").objects.values_list("name", flat=True))
    missing = {name: fields for name, fields in schedules.items() if name not in there}
    now = timezone.now()
    for name, fields in missing.items():
        _create(apps, name, {**fields, "start_time": now if fields["task"] == RUNS["task"] else None})
    if missing:
        told = apps.get_model("django_celery_beat", "PeriodicTasks").objects
        told.update_or_create(ident=1, defaults={"last_update": now})


def _create(apps: Apps, name: str, fields: dict[str, object]) -> None:
    """The schedule with a crontab or an interval of its own: one that an operator made may be edited or deleted."""
    for kind, model in (("crontab", "CrontabSchedule"), ("interval", "IntervalSchedule")):
        if kind in fields:
            fields[kind] = apps.get_model("django_celery_beat", model).objects.create(**fields[kind])
    apps.get_model("django_celery_beat", "PeriodicTask").objects.create(name=name, **fields)


class Migration(migrations.Migration):
    """Going back removes nothing: by then they may be an operator's."""

    dependencies = [
        ("pipeline", "0003_engine"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.RunPython(create_schedules, migrations.RunPython.noop),
    ]
