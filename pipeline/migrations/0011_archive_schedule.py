"""The schedule of the archive's check. Like the others it is created once, and belongs to the operators."""

import importlib

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

first = importlib.import_module("pipeline.migrations.0004_schedules")

DAILY = {**first.NEW_YORK, "minute": "30", "hour": "11-11", "day_of_week": "*"}

SCHEDULES = {
    "archive check": {
        "task": "pipeline.check_archive",
        "crontab": DAILY,
        "description": (
            "Sees that the archive has the payload of every capture, and reads some of them whole, in turn "
            "(MARKETSPINE_ARCHIVE_READS). What is lost becomes an anomaly, which ends when the payload is back."
        ),
    },
}


def create_check(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create it where it is not there by its name."""
    first.create(apps, SCHEDULES)


class Migration(migrations.Migration):
    """Going back removes nothing."""

    dependencies = [("pipeline", "0010_payload_checks")]

    operations = [
        migrations.RunPython(create_check, migrations.RunPython.noop),
    ]
