"""What a live source brings: its own totals, how many rows were updated last, and what may go wrong with them."""

from django.db import migrations, models

import pipeline.models.fields


class Migration(migrations.Migration):
    """Only columns that may be null, and two categories."""

    dependencies = [
        ("pipeline", "0007_worker_signs"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="runpartition", name="run_partition_action_known"),
        migrations.AlterField(
            model_name="runpartition",
            name="action",
            field=models.CharField(
                choices=[
                    ("INGEST", "fetch, decide, archive, store"),
                    ("ARCHIVE", "fetch, decide, archive; rows are stored later"),
                    ("NORMALIZE", "read the archived payloads again"),
                    ("LOOK", "ask whether it moved; fetch it if it did"),
                    ("NONE", "nothing: only the week is calculated"),
                    ("SKIP", "nothing: another run has it in flight"),
                    ("NOT_YET_DUE", "nothing: FINRA has not published it"),
                ],
                max_length=11,
            ),
        ),
        migrations.AddConstraint(
            model_name="runpartition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("action__in", ["INGEST", "ARCHIVE", "NORMALIZE", "LOOK", "NONE", "SKIP", "NOT_YET_DUE"])
                ),
                name="run_partition_action_known",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="anomaly",
            name="anomaly_category_known",
        ),
        migrations.AddField(
            model_name="capture",
            name="rows_last_updated",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="manifest",
            name="control_differing",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="manifest",
            name="control_shares",
            field=pipeline.models.fields.ExactDecimalField(null=True, places=20),
        ),
        migrations.AddField(
            model_name="manifest",
            name="control_symbols",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="manifest",
            name="control_trades",
            field=models.BigIntegerField(null=True),
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
                    ("UNRECONCILED", "the rows do not add up to the source's own totals"),
                    ("RESTATED_LATE", "restated long after publication"),
                    ("WEEK_MISMATCH", "the rows' dates speak of another week than the name"),
                    ("ARCHIVE_DAMAGED", "an archived payload is missing or not what it was"),
                    ("CALC_FAILED", "the week's analytics could not be computed"),
                    ("STALLED", "its workers died or hung, at each attempt"),
                    ("INTERNAL", "our own failure"),
                ],
                max_length=20,
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
                            "UNRECONCILED",
                            "RESTATED_LATE",
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
    ]
