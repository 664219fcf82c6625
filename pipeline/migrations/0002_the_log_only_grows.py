"""The operator log only grows: triggers refuse to change or remove an entry, whoever asks."""

from django.apps.registry import Apps
from django.db import migrations
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
    """Refuse updates and deletions. SQLite makes a table anew to alter it: a migration that does so calls this again."""
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
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{change.lower()} BEFORE {change} ON {table}"
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
    """Triggers on the log's two tables."""

    dependencies = [("pipeline", "0001_ledger")]
    operations = [migrations.RunPython(forbid, permit)]
