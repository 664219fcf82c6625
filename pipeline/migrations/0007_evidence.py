"""A capture of the rows that are held, because the archive has lost their payload."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pipeline", "0006_resume_run"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="capture",
            name="capture_kind_known",
        ),
        migrations.AlterField(
            model_name="capture",
            name="kind",
            field=models.CharField(
                choices=[
                    ("FIRST", "first capture"),
                    ("RESTATEMENT", "restatement"),
                    ("FORCED", "forced by an operator"),
                    ("REPARSED", "the archived payload, read by a newer parser"),
                    ("ANNULMENT", "an operator took the capture before it back"),
                    ("EVIDENCE", "the rows that are held, whose payload the archive has lost"),
                ],
                max_length=11,
            ),
        ),
        migrations.AddConstraint(
            model_name="capture",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["FIRST", "RESTATEMENT", "FORCED", "REPARSED", "ANNULMENT", "EVIDENCE"])
                ),
                name="capture_kind_known",
            ),
        ),
    ]
