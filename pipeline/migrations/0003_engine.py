"""What the engine needs: sendings, retries, slots, cancelling, and that one run at a time has a partition under way."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def take_back(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Nothing runs while the database is migrated: what died under way is pending, and may be so in two runs."""
    apps.get_model("pipeline", "RunPartition").objects.filter(status="RUNNING").update(status="PENDING")


class Migration(migrations.Migration):
    """Fields and constraints of runs, their partitions and their weeks."""

    dependencies = [
        ("pipeline", "0002_row_ranges_and_latest_rows"),
    ]

    operations = [
        migrations.RunPython(take_back, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name="anomaly",
            name="anomaly_category_known",
        ),
        migrations.RemoveConstraint(
            model_name="runpartition",
            name="run_partition_action_known",
        ),
        migrations.AddField(
            model_name="run",
            name="cancel_reason",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="run",
            name="cancelled_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="cancelled_by",
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name="run",
            name="schedule",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="run",
            name="slot",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="runpartition",
            name="retry_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="runpartition",
            name="sendings",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="runpartition",
            name="sent_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="anomaly",
            name="category",
            field=models.CharField(
                choices=[
                    ("LATE", "due, and the source does not have it"),
                    ("FETCH_FAILED", "the source could not deliver"),
                    ("UNREADABLE", "the payload could not be read as FINRA's format"),
                    ("REJECTED_ROWS", "some rows were not stored"),
                    ("REFUSED", "the payload would have replaced a good capture with less"),
                    ("WEEK_MISMATCH", "the rows' dates speak of another week than the name"),
                    ("ARCHIVE_DAMAGED", "an archived payload is missing or not what it was"),
                    ("CALC_FAILED", "the week's analytics could not be computed"),
                    ("STALLED", "its workers died or hung, at each attempt"),
                    ("INTERNAL", "our own failure"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="runpartition",
            name="action",
            field=models.CharField(
                choices=[
                    ("INGEST", "fetch, decide, archive, store"),
                    ("ARCHIVE", "fetch, decide, archive; rows are stored later"),
                    ("NORMALIZE", "read the archived payloads again"),
                    ("NONE", "nothing: only the week is calculated"),
                    ("SKIP", "nothing: another run has it in flight"),
                    ("NOT_YET_DUE", "nothing: FINRA has not published it"),
                ],
                max_length=11,
            ),
        ),
        migrations.AlterField(
            model_name="runweek",
            name="calculation",
            field=models.CharField(
                blank=True,
                choices=[
                    ("COMPUTED", "computed from the newest captures"),
                    ("UNCHANGED", "computed from the same captures already"),
                    ("SKIPPED", "nothing to compute from, or not asked for"),
                    ("FAILED", "could not be computed"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="anomaly",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "category__in",
                        [
                            "LATE",
                            "FETCH_FAILED",
                            "UNREADABLE",
                            "REJECTED_ROWS",
                            "REFUSED",
                            "WEEK_MISMATCH",
                            "ARCHIVE_DAMAGED",
                            "CALC_FAILED",
                            "STALLED",
                            "INTERNAL",
                        ],
                    )
                ),
                name="anomaly_category_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(models.F("schedule"), models.F("slot"), name="run_slot_once"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("schedule", ""), ("slot__isnull", True)),
                    models.Q(models.Q(("schedule", ""), _negated=True), ("slot__isnull", False)),
                    _connector="OR",
                ),
                name="run_slot_of_a_schedule",
            ),
        ),
        migrations.AddConstraint(
            model_name="runpartition",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "RUNNING")), fields=("partition",), name="run_partition_one_at_a_time"
            ),
        ),
        migrations.AddConstraint(
            model_name="runpartition",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["INGEST", "ARCHIVE", "NORMALIZE", "NONE", "SKIP", "NOT_YET_DUE"])),
                name="run_partition_action_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="runweek",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("calculation", ""), ("closed_at__isnull", True)),
                    models.Q(
                        ("calculation__in", ["COMPUTED", "UNCHANGED", "SKIPPED", "FAILED"]),
                        ("closed_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="run_week_calculation_when_closed",
            ),
        ),
    ]
