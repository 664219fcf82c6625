"""The operator log, to which rows are only ever added, and the permissions of what an operator may do."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = ("pipeline_operatorlogentry", "pipeline_operatorlogsubject")
MESSAGE = "the operator log is only ever added to"
FUNCTION = f"""
    CREATE FUNCTION pipeline_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
"""


def forbid(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Refuse updates and deletions."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION)
        for table in TABLES:
            schema_editor.execute(
                f"CREATE TRIGGER log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION pipeline_log_only_grows()"
            )
        return
    for table in TABLES:
        for change in ("UPDATE", "DELETE"):
            schema_editor.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
            )


def permit(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Permit them again."""
    postgresql = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        for change in () if postgresql else ("update", "delete"):
            schema_editor.execute(f"DROP TRIGGER {table}_no_{change}")
    if postgresql:
        schema_editor.execute("DROP FUNCTION pipeline_log_only_grows() CASCADE")


class Migration(migrations.Migration):
    """The log's two tables, and triggers that refuse to change them."""

    dependencies = [
        ("pipeline", "0004_schedules"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="anomaly",
            options={
                "ordering": ("-last_seen_at", "-pk"),
                "permissions": (("can_resolve", "Can resolve and reopen an anomaly"),),
                "verbose_name_plural": "anomalies",
            },
        ),
        migrations.AlterModelOptions(
            name="capture",
            options={
                "ordering": ("partition", "-version"),
                "permissions": (("can_pin", "Can pin and unpin a capture"),),
            },
        ),
        migrations.AlterModelOptions(
            name="run",
            options={
                "ordering": ("-pk",),
                "permissions": (
                    (
                        "can_run",
                        "Can start runs: re-ingest, re-normalize, recompute, retry, backfill, run a schedule now",
                    ),
                    ("can_force", "Can force a re-ingest, which overrules revision detection"),
                    ("can_cancel", "Can cancel a run"),
                ),
            },
        ),
        migrations.CreateModel(
            name="OperatorLogEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("operator", models.CharField(max_length=150)),
                ("account", models.BigIntegerField(null=True)),
                (
                    "act",
                    models.CharField(
                        choices=[
                            ("REINGEST", "re-ingest"),
                            ("FORCE_REINGEST", "force re-ingest"),
                            ("RENORMALIZE", "re-normalize from the archive"),
                            ("RECOMPUTE", "recompute analytics"),
                            ("REEVALUATE", "re-evaluate readiness"),
                            ("RETRY_FAILED", "retry failed partitions"),
                            ("CANCEL_RUN", "cancel run"),
                            ("BACKFILL", "backfill"),
                            ("RUN_NOW", "run a schedule now"),
                            ("RESOLVE", "resolve anomaly"),
                            ("REOPEN", "reopen anomaly"),
                            ("PIN", "pin capture"),
                            ("UNPIN", "unpin capture"),
                            ("ADD", "add"),
                            ("CHANGE", "change"),
                            ("DELETE", "delete"),
                        ],
                        max_length=20,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                (
                    "upshot",
                    models.CharField(
                        choices=[
                            ("STARTED", "a run was started"),
                            ("DONE", "done at once"),
                            ("REFUSED", "refused: nothing was done"),
                        ],
                        max_length=7,
                    ),
                ),
                ("told", models.TextField()),
                ("token", models.CharField(max_length=36, null=True, unique=True)),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="log_entries",
                        to="pipeline.run",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "operator log",
                "ordering": ("-pk",),
            },
        ),
        migrations.CreateModel(
            name="OperatorLogSubject",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("key", models.CharField(max_length=40)),
                ("label", models.CharField(max_length=200)),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subjects",
                        to="pipeline.operatorlogentry",
                    ),
                ),
            ],
            options={
                "ordering": ("pk",),
            },
        ),
        migrations.AddConstraint(
            model_name="operatorlogentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "act__in",
                        [
                            "REINGEST",
                            "FORCE_REINGEST",
                            "RENORMALIZE",
                            "RECOMPUTE",
                            "REEVALUATE",
                            "RETRY_FAILED",
                            "CANCEL_RUN",
                            "BACKFILL",
                            "RUN_NOW",
                            "RESOLVE",
                            "REOPEN",
                            "PIN",
                            "UNPIN",
                            "ADD",
                            "CHANGE",
                            "DELETE",
                        ],
                    )
                ),
                name="log_act_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="operatorlogentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("upshot__in", ["STARTED", "DONE", "REFUSED"])), name="log_upshot_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="operatorlogentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("upshot", "STARTED"), _negated=True), ("run__isnull", False), _connector="OR"
                ),
                name="log_started_names_the_run",
            ),
        ),
        migrations.AddIndex(
            model_name="operatorlogsubject",
            index=models.Index(fields=["kind", "key"], name="log_subject_by_what_it_is"),
        ),
        migrations.RunPython(forbid, permit),
    ]
