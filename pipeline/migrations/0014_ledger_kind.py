from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipeline", "0013_anomaly_last_run")]

    operations = [
        migrations.CreateModel(
            name="LedgerKind",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(choices=[("REAL", "FINRA's data"), ("SAMPLES", "invented samples")], max_length=7),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="ledger_kind_is_one_row"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["REAL", "SAMPLES"])), name="ledger_kind_known"
                    ),
                ],
            },
        ),
    ]
