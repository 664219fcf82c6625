"""One word for one act: codes and fields of the operator log and of planned work. Entries keep what they say.

The log refuses updates: its triggers rest while its codes are renamed, in the transaction of the migration.
"""

from importlib import import_module

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Value
from django.db.models.functions import Replace

forbid_again = import_module("pipeline.migrations.0018_forced_outcome_and_acts_by_command").forbid_again

ACTS = {"SWEEP": "PROBE", "SWEEP_RUNS": "RECOVER_RUNS"}
ACTIONS = {"LOOK": "PROBE"}
LABELS = {'"upshot"': '"outcome"', **{f'"{old}"': f'"{new}"' for old, new in ACTS.items()}}


def rename(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give the codes their new names."""
    _rename(apps, schema_editor, ACTS, ACTIONS, LABELS)


def rename_back(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give the codes their old names."""
    _rename(apps, schema_editor, *({new: old for old, new in codes.items()} for codes in (ACTS, ACTIONS, LABELS)))


def _rename(
    apps: Apps,
    schema_editor: BaseDatabaseSchemaEditor,
    acts: dict[str, str],
    actions: dict[str, str],
    labels: dict[str, str],
) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    if postgresql:  # SQLite has just made the table anew, without triggers
        schema_editor.execute("ALTER TABLE pipeline_operatorlogentry DISABLE TRIGGER log_only_grows")
    for model, field, codes in (("OperatorLogEntry", "act", acts), ("RunPartition", "action", actions)):
        for old, new in codes.items():
            apps.get_model("pipeline", model).objects.filter(**{field: old}).update(**{field: new})
    for model in ("Tally", "TallyEntry"):
        for old, new in labels.items():
            counted = apps.get_model("pipeline", model).objects.filter(name="operator_acts")
            counted.update(labels=Replace(F("labels"), Value(old), Value(new)))
    if postgresql:
        schema_editor.execute("ALTER TABLE pipeline_operatorlogentry ENABLE TRIGGER log_only_grows")


class Migration(migrations.Migration):
    """The renames, between constraints that know the old codes and constraints that know the new ones."""

    dependencies = [
        ("pipeline", "0027_notices"),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, forbid_again),
        migrations.RemoveConstraint(
            model_name="operatorlogentry",
            name="log_upshot_known",
        ),
        migrations.RemoveConstraint(
            model_name="operatorlogentry",
            name="log_started_names_the_run",
        ),
        migrations.RemoveConstraint(
            model_name="operatorlogentry",
            name="log_act_known",
        ),
        migrations.RemoveConstraint(
            model_name="run",
            name="run_trigger_known",
        ),
        migrations.RemoveConstraint(
            model_name="runpartition",
            name="run_partition_action_known",
        ),
        migrations.RenameField(
            model_name="operatorlogentry",
            old_name="upshot",
            new_name="outcome",
        ),
        migrations.RenameField(
            model_name="operatorlogentry",
            old_name="told",
            new_name="sentence",
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
        migrations.AlterField(
            model_name="run",
            name="trigger",
            field=models.CharField(
                choices=[("CLI", "command line"), ("BEAT", "schedule"), ("ADMIN", "admin")], max_length=5
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
                    ("PROBE", "ask whether it moved; fetch it if it did"),
                    ("NONE", "nothing: only the week is calculated"),
                    ("SKIP", "nothing: another run has it in flight"),
                    ("NOT_YET_DUE", "nothing: FINRA has not published it"),
                ],
                max_length=11,
            ),
        ),
        migrations.RunPython(rename, rename_back),
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
        migrations.AddConstraint(
            model_name="operatorlogentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["STARTED", "DONE", "REFUSED"])), name="log_outcome_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="operatorlogentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("outcome", "STARTED"), _negated=True), ("run__isnull", False), _connector="OR"
                ),
                name="log_started_names_the_run",
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("trigger__in", ["CLI", "BEAT", "ADMIN"])), name="run_trigger_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="runpartition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("action__in", ["INGEST", "ARCHIVE", "NORMALIZE", "PROBE", "NONE", "SKIP", "NOT_YET_DUE"])
                ),
                name="run_partition_action_known",
            ),
        ),
        migrations.RunPython(forbid_again, migrations.RunPython.noop),
    ]
