"""Rows on notices and on what is kept, and on the exporter itself."""

from __future__ import annotations

from deploy.grafana.panels import (
    ANY_IS_BAD,
    ANY_IS_ODD,
    GREEN,
    ORANGE,
    RED,
    Panel,
    Row,
    age,
    gone_up,
    runbook,
    top,
)

KEEPING = Row(
    "Telling and keeping",
    [
        Panel(
            "Notices",
            "Deliveries by state.",
            "short",
            [(top("notifications", "state"), "{{state}}")],
            runbook("NotificationsStuck"),
        ),
        Panel(
            "Tries to deliver, per day",
            "By channel and what came of them.",
            "short",
            [(gone_up("notification_attempts", "channel", "outcome", over="1d"), "{{channel}} {{outcome}}")],
            runbook("NotificationsStuck"),
        ),
        Panel(
            "Archive and database",
            "Payloads and vintage files by the ledger, and the database.",
            "bytes",
            [(top("archive_bytes", "shelf"), "{{shelf}}"), (top("database_size_bytes"), "database")],
            runbook("StorageFull"),
        ),
        Panel(
            "Free space",
            "The share that is free on each volume of this machine. StorageFull fires below a tenth.",
            "percentunit",
            [(f"{top('volume_free_bytes', 'volume')} / {top('volume_size_bytes', 'volume')}", "{{volume}}")],
            runbook("StorageFull"),
            steps=((None, RED), (0.1, GREEN)),
        ),
        Panel(
            "Damaged files",
            "Files of the archive that were missing or not what was written when it was last looked at.",
            "short",
            [(top("archive_damaged_files", "shelf"), "{{shelf}}")],
            runbook("ArchiveDamaged"),
            steps=ANY_IS_BAD,
        ),
        Panel(
            "Retention",
            "Files that it has marked or must not remove, and those that it removed in a day.",
            "short",
            [
                (top("prune_items", "state"), "{{state}}"),
                (gone_up("prune_removed", "kind", over="1d"), "removed: {{kind}}"),
            ],
            runbook("StorageFull"),
        ),
        Panel(
            "Backups",
            "The size of the newest good backup.",
            "bytes",
            [(top("backup_last_bytes"), "size")],
            runbook("BackupOld"),
        ),
        Panel(
            "Backups: how long they take",
            "The newest good backup.",
            "s",
            [(top("backup_last_duration_seconds"), "duration")],
            runbook("BackupOld"),
        ),
        Panel(
            "Last restore drill",
            "How long ago a drill proved that a backup can be restored.",
            "s",
            [(age("restore_drill_last_success_timestamp_seconds"), "drill")],
            runbook("RestoreDrillOld"),
            "stat",
            steps=((None, GREEN), (100 * 86400, ORANGE)),
        ),
    ],
)
EXPORTER = Row(
    "Exporter",
    [
        Panel(
            "How long the ledger is read",
            "One reading of all figures; it is kept for 15 seconds.",
            "s",
            [(top("ledger_read_duration_seconds"), "reading")],
            runbook("LedgerUnreadable"),
        ),
        Panel(
            "Age of the figures",
            "Of a text file, the age of the last writing.",
            "s",
            [(age("ledger_read_timestamp_seconds"), "age")],
            runbook("MetricsStale"),
            steps=((None, GREEN), (1800, ORANGE)),
        ),
        Panel(
            "Pending migrations",
            "Migrations of the code that the database lacks.",
            "short",
            [(top("migrations_pending"), "pending")],
            runbook("MigrationsPending"),
            steps=ANY_IS_ODD,
        ),
    ],
    is_closed=True,
)
