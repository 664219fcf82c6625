"""The schedules that probe for restatements. Like the first ones they are created once, and belong to the operators."""

import importlib
import json

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

first = importlib.import_module("pipeline.migrations.0004_schedules")

EACH_SUNDAY = {**first.NEW_YORK, "minute": "30", "hour": "6-6", "day_of_week": "0"}
EACH_MONTH = {**first.NEW_YORK, "minute": "30", "hour": "7-7", "day_of_week": "*", "day_of_month": "1"}

WEEKLY = (
    "Asks FINRA's API of every captured partition of the last year whether it moved since, and captures again what did: "
    "restatements come long after a look-back has passed. Owes nothing while MARKETSPINE_SOURCE is not api."
)
MONTHLY = (
    "The same for everything captured. Takes lookback_weeks, tiers and source like the weekly run; probe is what asks."
)

SCHEDULES = {
    "restatement probe, last year": {
        "task": first.RUNS["task"],
        "kwargs": json.dumps({"lookback_weeks": 52, "probe": True}),
        "crontab": EACH_SUNDAY,
        "description": WEEKLY,
    },
    "restatement probe, everything": {
        "task": first.RUNS["task"],
        "kwargs": json.dumps({"lookback_weeks": 520, "probe": True}),
        "crontab": EACH_MONTH,
        "description": MONTHLY,
    },
}


def create_probes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create those that are not there by their names."""
    first.create(apps, SCHEDULES)


class Migration(migrations.Migration):
    """Going back removes nothing."""

    dependencies = [("pipeline", "0008_live_source")]

    operations = [
        migrations.RunPython(create_probes, migrations.RunPython.noop),
    ]
