"""What plausibility is judged by: sketches of the rows held, shares by venue kind, and the words for what comes of it."""

import importlib

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import pipeline.models.fields

first = importlib.import_module("pipeline.migrations.0002_row_ranges_and_latest_rows")

CATEGORIES = [
    ("LATE", "due, and the source does not have it"),
    ("FETCH_FAILED", "the source could not deliver"),
    ("UNREADABLE", "the payload could not be read as FINRA's format"),
    ("REJECTED_ROWS", "some rows were not stored"),
    ("REFUSED", "the payload cannot be what FINRA published for the week"),
    ("IMPLAUSIBLE", "captured, and far from the weeks around it"),
    ("NOT_OFFERED", "the source has nothing any more of what is held"),
    ("ODD_ROWS", "some rows are odd, and are kept"),
    ("UNKNOWN_FIELDS", "the source's rows have fields that nothing here reads"),
    ("UNRECONCILED", "the rows do not add up to the source's own totals"),
    ("RESTATED_LATE", "restated long after publication"),
    ("ARCHIVE_DAMAGED", "an archived payload is missing or not what it was"),
    ("CALC_FAILED", "the week's analytics could not be computed"),
    ("STALLED", "its workers died or hung, at each attempt"),
    ("INTERNAL", "our own failure"),
]
OUTCOMES = [
    ("INGESTED", "first capture"),
    ("RESTATED", "new vintage"),
    ("UNCHANGED", "the same content as captured"),
    ("NOT_OFFERED", "held, and not in the source any more"),
    ("REFUSED", "cannot be what FINRA published for the week"),
    ("NOT_YET_DUE", "not published yet"),
    ("LATE", "due, and not there"),
    ("FAILED", "could not be captured"),
    ("CANCELLED", "cancelled before it started"),
]


def drop_view(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite makes the table of captures anew, which a view of it forbids."""
    schema_editor.execute("DROP VIEW latest_rows")


def create_view(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The view as it was."""
    postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(first.latest_rows("1000000::numeric" if postgresql else "1000000.0"))


class Migration(migrations.Migration):
    """A table, a column, two categories of anomaly (one less) and an outcome."""

    dependencies = [("pipeline", "0014_ledger_kind")]

    operations = [
        migrations.CreateModel(
            name="PartitionSketch",
            fields=[
                (
                    "partition",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="sketch",
                        serialize=False,
                        to="pipeline.partition",
                    ),
                ),
                ("hashes", models.BinaryField()),
                ("ceiling", models.BigIntegerField()),
            ],
        ),
        migrations.RunPython(drop_view, create_view),
        migrations.AddField(
            model_name="capture",
            name="shares_non_ats",
            field=pipeline.models.fields.ExactDecimalField(default=0),
            preserve_default=False,
        ),
        migrations.RunPython(create_view, drop_view),
        migrations.RemoveConstraint(model_name="anomaly", name="anomaly_category_known"),
        migrations.AlterField(
            model_name="anomaly", name="category", field=models.CharField(choices=CATEGORIES, max_length=20)
        ),
        migrations.AddConstraint(
            model_name="anomaly",
            constraint=models.CheckConstraint(
                condition=models.Q(category__in=[name for name, _ in CATEGORIES]), name="anomaly_category_known"
            ),
        ),
        migrations.RemoveConstraint(model_name="runpartition", name="run_partition_outcome_when_done"),
        migrations.AlterField(
            model_name="runpartition",
            name="outcome",
            field=models.CharField(blank=True, choices=OUTCOMES, max_length=11),
        ),
        migrations.AddConstraint(
            model_name="runpartition",
            constraint=models.CheckConstraint(
                condition=models.Q(status="DONE", outcome__in=[name for name, _ in OUTCOMES])
                | models.Q(~models.Q(status="DONE"), outcome=""),
                name="run_partition_outcome_when_done",
            ),
        ),
    ]
