"""The schedules. They are created once, and belong to the operators from then on: nothing here changes or removes one."""

import json

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

EACH_SUNDAY = {**NEW_YORK, "minute": "30", "hour": "6-6", "day_of_week": "0"}

EACH_MONTH = {**NEW_YORK, "minute": "30", "hour": "7-7", "day_of_week": "*", "day_of_month": "1"}

PROBE_YEAR = (
    "Asks FINRA's API of every captured partition of the last year whether it moved since, and captures again what did: "
    "restatements come long after a look-back has passed. Owes nothing while MARKETSPINE_SOURCE is not api."
)
PROBE_ALL = (
    "The same for everything captured. Takes lookback_weeks, tiers and source like the weekly run; probe is what asks."
)

HALF_PAST_ELEVEN = {**NEW_YORK, "minute": "30", "hour": "11-11", "day_of_week": "*"}

# Hours in which no weekly run begins: removing waits for nothing that a run has in flight, and a run for no removal.
SATURDAY = {**NEW_YORK, "minute": "0", "hour": "5-5", "day_of_week": "6"}
EACH_DAY = {**NEW_YORK, "minute": "30", "hour": "5-5", "day_of_week": "*"}
MONTHLY = {**NEW_YORK, "minute": "0", "hour": "14-14", "day_of_week": "*", "day_of_month": "2"}

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
    "restatement probe, last year": {
        "task": RUNS["task"],
        "kwargs": json.dumps({"lookback_weeks": 52, "probe": True}),
        "crontab": EACH_SUNDAY,
        "description": PROBE_YEAR,
    },
    "restatement probe, everything": {
        "task": RUNS["task"],
        "kwargs": json.dumps({"lookback_weeks": 520, "probe": True}),
        "crontab": EACH_MONTH,
        "description": PROBE_ALL,
    },
    "archive check": {
        "task": "pipeline.check_archive",
        "crontab": HALF_PAST_ELEVEN,
        "description": (
            "Sees that the archive has the payload of every capture, and reads some of them whole, in turn "
            "(MARKETSPINE_ARCHIVE_READS). What is lost becomes an anomaly, which ends when the payload is back."
        ),
    },
    "prune plan": {
        "task": "pipeline.plan_pruning",
        "crontab": SATURDAY,
        "enabled": False,
        "kwargs": '{"older_than": 730, "keep_first": true, "keep_last": 3}',
        "description": (
            "Plans what may be pruned, for a person to look at under Prune plans: it marks nothing. older_than: days since a "
            "capture was superseded. Also taken: keep_last, keep_first, keep_monthly, keep_yearly, payloads, snapshots."
        ),
    },
    "removal of pruned captures": {
        "task": "pipeline.remove_pruned",
        "crontab": EACH_DAY,
        "description": (
            "Removes what a person has marked for pruning, when its undo window has passed and nothing guards it. "
            "While nothing is marked, it does nothing."
        ),
    },
    "archive verification": {
        "task": "pipeline.check_archive",
        "crontab": MONTHLY,
        "kwargs": '{"everything": true}',
        "description": "Reads every payload and vintage file whole and compares it with its hash, once a month.",
    },
}


def create_schedules(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    """Create each schedule that is not there by its name. A slot before this moment is never owed.

    A beat that runs already is told: the models of a migration send no signals that would do it.
    """
    there = set(apps.get_model("django_celery_beat", "PeriodicTask").objects.values_list("name", flat=True))
    missing = {name: fields for name, fields in SCHEDULES.items() if name not in there}
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
        ("pipeline", "0002_the_log_only_grows"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(create_schedules, migrations.RunPython.noop)]
