"""Resuming a run is an act of the operator log; SQLite, which makes the table anew for it, forgets its triggers."""

from importlib import import_module

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forbid_again(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Refuse updates and deletions of the log, where SQLite has made its table anew."""
    if schema_editor.connection.vendor == "sqlite":
        import_module("pipeline.migrations.0002_the_log_only_grows").forbid(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("pipeline", "0005_silent_restatements_and_readiness_changes"),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, forbid_again),
        migrations.RemoveConstraint(
            model_name="operatorlogentry",
            name="log_act_known",
        ),
        migrations.AlterField(
            model_name="operatorlogentry",
            name="act",
            field=models.CharField(
                choices=[
                    ("REINGEST", "re-ingest"),
                    ("FORCE_REINGEST", "force re-ingest"),
                    ("RENORMALIZE", "re-normalize from the archive"),
                    ("RECOMPUTE", "recompute analytics"),
                    ("REEVALUATE", "re-evaluate readiness"),
                    ("RETRY_FAILED", "retry failed partitions"),
                    ("RESUME_RUN", "resume run"),
                    ("CANCEL_RUN", "cancel run"),
                    ("RUN", "run the weekly job"),
                    ("BACKFILL", "backfill"),
                    ("INGEST_FILE", "ingest a file by hand"),
                    ("PROBE", "probe for restatements"),
                    ("RECOVER_RUNS", "recover stalled runs"),
                    ("CHECK_ARCHIVE", "check the archive"),
                    ("REBUILD_VINTAGES", "rebuild vintage files"),
                    ("RESTORE", "restore captures from the archive"),
                    ("PRUNE_PLAN", "plan the pruning of captures"),
                    ("PRUNE_MARK", "mark captures for removal"),
                    ("PRUNE_UNDO", "undo the pruning of captures"),
                    ("PRUNE_REMOVE", "remove what was pruned"),
                    ("BACKUP", "make a backup"),
                    ("BACKUP_RECORD", "record a backup made by other means"),
                    ("BACKUP_DRILL", "drill a restoration"),
                    ("RESTORE_BACKUP", "restore a backup"),
                    ("RESTORE_FINISH", "finish a restoration"),
                    ("RUN_NOW", "run a schedule now"),
                    ("RESOLVE", "resolve anomaly"),
                    ("REOPEN", "reopen anomaly"),
                    ("PIN", "pin capture"),
                    ("UNPIN", "unpin capture"),
                    ("ANNUL", "annul capture"),
                    ("SILENCE", "silence notices"),
                    ("END_SILENCE", "end silence"),
                    ("TEST_CHANNEL", "test channel"),
                    ("RESEND", "send again"),
                    ("ADD", "add"),
                    ("CHANGE", "change"),
                    ("DELETE", "delete"),
                ],
                max_length=20,
            ),
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
                            "RESUME_RUN",
                            "CANCEL_RUN",
                            "RUN",
                            "BACKFILL",
                            "INGEST_FILE",
                            "PROBE",
                            "RECOVER_RUNS",
                            "CHECK_ARCHIVE",
                            "REBUILD_VINTAGES",
                            "RESTORE",
                            "PRUNE_PLAN",
                            "PRUNE_MARK",
                            "PRUNE_UNDO",
                            "PRUNE_REMOVE",
                            "BACKUP",
                            "BACKUP_RECORD",
                            "BACKUP_DRILL",
                            "RESTORE_BACKUP",
                            "RESTORE_FINISH",
                            "RUN_NOW",
                            "RESOLVE",
                            "REOPEN",
                            "PIN",
                            "UNPIN",
                            "ANNUL",
                            "SILENCE",
                            "END_SILENCE",
                            "TEST_CHANNEL",
                            "RESEND",
                            "ADD",
                            "CHANGE",
                            "DELETE",
                        ],
                    )
                ),
                name="log_act_known",
            ),
        ),
        migrations.RunPython(forbid_again, migrations.RunPython.noop),
    ]
