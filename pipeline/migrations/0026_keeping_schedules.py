"""The schedules of keeping, each created once; who may prune, and who sees plans, backups and drills."""

import importlib
from typing import Any

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

first = importlib.import_module("pipeline.migrations.0004_schedules")

# Hours in which no weekly run begins: removing waits for nothing that a run has in flight, and a run for no removal.
SATURDAY = {**first.NEW_YORK, "minute": "0", "hour": "5-5", "day_of_week": "6"}
EACH_DAY = {**first.NEW_YORK, "minute": "30", "hour": "5-5", "day_of_week": "*"}
MONTHLY = {**first.NEW_YORK, "minute": "0", "hour": "14-14", "day_of_week": "*", "day_of_month": "2"}

SCHEDULES = {
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
NEW = ("pruneplan", "pruneentry", "backup", "drill", "restoration")


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the rows that are not there by their names; let the roles see what is new, and administrators prune."""
    first.create(apps, SCHEDULES)
    config = apps.get_app_config("pipeline")
    config.models_module = True  # type: ignore[assignment] # historical apps have none, and are passed over
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="pipeline")
    groups = apps.get_model("auth", "Group").objects
    for group in groups.filter(name__in=("Viewer", "Operator", "Administrator")):
        group.permissions.add(*permissions.filter(codename__in=[f"view_{model}" for model in NEW]))
    for group in groups.filter(name="Administrator"):
        group.permissions.add(*permissions.filter(codename="can_prune"))


class Migration(migrations.Migration):
    """Going back removes nothing."""

    dependencies: list[Any] = [("pipeline", "0025_keeping")]
    operations: list[Any] = [migrations.RunPython(create, migrations.RunPython.noop)]
