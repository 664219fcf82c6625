"""What models cannot say: version ranges of one row never overlap, and the view `latest_rows` for plain SQL."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

OVERLAP = """
    SELECT 1 FROM pipeline_rowversion AS other
    WHERE other.partition_id = NEW.partition_id AND other.security_id = NEW.security_id
      AND other.venue_id = NEW.venue_id AND other.product_type = NEW.product_type
      AND other.first_version <> NEW.first_version
      AND other.first_version <= COALESCE(NEW.last_version, 2147483647)
      AND COALESCE(other.last_version, 2147483647) >= NEW.first_version
"""
# A first capture is loaded with first_version 1 and open ends, before its partition has a latest capture: then only the
# primary key can be hurt, and looking for each of its rows would cost as much as loading them. Afterwards no row enters at
# version 1 any more, and each that enters later is looked for. (Captures that are archived only do not count: their rows
# enter in their order.) An update is checked when it widens a range or moves it to another row.
ENTERS = "NEW.first_version > 1 OR NEW.last_version IS NOT NULL"
ENTERS_FIRST = "NEW.first_version = 1"
STORED = "SELECT 1 FROM pipeline_partition AS part WHERE part.id = {row}.partition_id AND part.latest_id IS NOT NULL"
WIDENS = (
    "NEW.first_version < OLD.first_version OR (NEW.last_version IS NULL AND OLD.last_version IS NOT NULL)"
    " OR NEW.last_version > OLD.last_version OR NEW.partition_id <> OLD.partition_id"
    " OR NEW.security_id <> OLD.security_id OR NEW.venue_id <> OLD.venue_id OR NEW.product_type <> OLD.product_type"
)
MESSAGE = "version ranges of one row overlap"
TOO_LATE = "a row enters at version 1 of a partition whose first rows are stored"

POSTGRESQL = [
    f"""
    CREATE FUNCTION pipeline_row_ranges_apart() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS ({OVERLAP}) THEN
            RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'exclusion_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION pipeline_row_enters_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM entered WHERE first_version = 1 AND EXISTS ({STORED.format(row="entered")})) THEN
            RAISE EXCEPTION '{TOO_LATE}' USING ERRCODE = 'exclusion_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER row_enters_in_time AFTER INSERT ON pipeline_rowversion REFERENCING NEW TABLE AS entered"
    " FOR EACH STATEMENT EXECUTE FUNCTION pipeline_row_enters_in_time()",
    f"CREATE TRIGGER row_ranges_apart_on_insert AFTER INSERT ON pipeline_rowversion"
    f" FOR EACH ROW WHEN ({ENTERS}) EXECUTE FUNCTION pipeline_row_ranges_apart()",
    f"CREATE TRIGGER row_ranges_apart_on_update AFTER UPDATE ON pipeline_rowversion"
    f" FOR EACH ROW WHEN ({WIDENS}) EXECUTE FUNCTION pipeline_row_ranges_apart()",
]
SQLITE = [
    f"CREATE TRIGGER row_enters_in_time BEFORE INSERT ON pipeline_rowversion WHEN {ENTERS_FIRST}"
    f" BEGIN SELECT RAISE(ABORT, '{TOO_LATE}') WHERE EXISTS ({STORED.format(row='NEW')}); END",
    f"CREATE TRIGGER row_ranges_apart_on_insert BEFORE INSERT ON pipeline_rowversion WHEN {ENTERS}"
    f" BEGIN SELECT RAISE(ABORT, '{MESSAGE}') WHERE EXISTS ({OVERLAP}); END",
    f"CREATE TRIGGER row_ranges_apart_on_update AFTER UPDATE ON pipeline_rowversion WHEN {WIDENS}"
    f" BEGIN SELECT RAISE(ABORT, '{MESSAGE}') WHERE EXISTS ({OVERLAP}); END",
]


def latest_rows(million: str) -> str:
    """The view: the current rows with their natural keys. `million` decides the type of `shares`."""
    return f"""
    CREATE VIEW latest_rows AS
    SELECT part.week_ending, part.tier, capture.capture_id, capture.version, security.symbol, security.issue_name,
           venue.kind AS venue_kind, venue.mpid, venue.crd, venue.name AS venue_name, row.product_type,
           row.shares_micros / {million} AS shares, row.trades, row.notional_micros / {million} AS notional,
           row.last_update_date, row.shares_micros, row.first_version
    FROM pipeline_rowversion AS row
    JOIN pipeline_partition AS part ON part.id = row.partition_id
    JOIN pipeline_capture AS capture ON capture.id = part.latest_id
    JOIN pipeline_security AS security ON security.id = row.security_id
    JOIN pipeline_venue AS venue ON venue.id = row.venue_id
    WHERE row.last_version IS NULL
    """


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers and the view."""
    postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRESQL if postgresql else SQLITE:
        schema_editor.execute(statement)
    schema_editor.execute(latest_rows("1000000::numeric" if postgresql else "1000000.0"))


def drop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the view and the triggers."""
    schema_editor.execute("DROP VIEW latest_rows")
    on_table = " ON pipeline_rowversion" if schema_editor.connection.vendor == "postgresql" else ""
    for trigger in ("row_enters_in_time", "row_ranges_apart_on_insert", "row_ranges_apart_on_update"):
        schema_editor.execute(f"DROP TRIGGER {trigger}{on_table}")
    if on_table:
        schema_editor.execute("DROP FUNCTION pipeline_row_ranges_apart()")
        schema_editor.execute("DROP FUNCTION pipeline_row_enters_in_time()")


class Migration(migrations.Migration):
    """Triggers and the view `latest_rows`, on both engines."""

    dependencies: list[Any] = [("pipeline", "0001_ledger")]
    operations: list[Any] = [migrations.RunPython(create, drop)]
