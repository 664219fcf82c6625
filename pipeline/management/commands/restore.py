"""`manage.py restore`: a backup into an empty database and an empty archive, and finishing that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.keeping.postgresql import ToolFailed
from pipeline.keeping.repository import NoBackup
from pipeline.keeping.restoration import CannotRestore
from pipeline.management.base import BadArguments, SpineCommand, failed_if, operator
from pipeline.models.data_kinds import manage_py
from pipeline.operations import Order


class Command(SpineCommand):
    """Put a backup back. Stop the web, the workers and beat first: what they write meanwhile is not looked for."""

    help = (
        "Restore a backup into the database and the archive that the settings name: both must be empty. Schedules and "
        "notices are paused until `restore --finish`; runs that were under way are interrupted, and the same commands "
        "resume them. Exit code: 0 restored, 1 restored, and the backup lacks files, 2 could not run."
    )
    examples = (
        ("restore /backups", "the newest backup, into an empty database and archive"),
        ("restore --finish", "all is there: let schedules and notices go on"),
    )
    needs_database = False

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Which backup, or that all is well."""
        parser.add_argument(
            "place",
            nargs="?",
            default=settings.MARKETSPINE_BACKUP_DIR,
            help="the folder of the backups (default: MARKETSPINE_BACKUP_DIR)",
        )
        parser.add_argument("--name", default="", help="which backup, such as 20261126T031600Z (default: the newest)")
        parser.add_argument("--finish", action="store_true", help="let schedules and notices go on")
        parser.add_argument("--reason", default="", help="why, for the operator log")

    def work(self, **options: Any) -> int:
        """Restore or finish, print."""
        order = Order(operator=operator(), reason=options["reason"])
        try:
            return self._finish(order) if options["finish"] else self._restore(options, order)
        except (NoBackup, CannotRestore, ToolFailed) as error:
            raise BadArguments(str(error)) from error

    def _restore(self, options: dict[str, Any], order: Order) -> int:
        restored, missing = operations.restore_backup(Path(options["place"]).absolute(), options["name"], order)
        if self.as_json:
            paused = {"paused_schedules": restored.schedules, "missing": missing}
            self.document({"name": restored.name, "made_at": restored.made_at, **paused})
        self.line(f"Restored: {restored.name}, which holds what was captured by {restored.made_at:%Y-%m-%d %H:%M} UTC.")
        for path in missing:
            self.line(f"not in the backup: {path}")
        self.line(f"Schedules and notices are paused. Look: {manage_py()} doctor. Then: {manage_py()} restore --finish")
        return failed_if(bool(missing))

    def _finish(self, order: Order) -> int:
        finished = operations.finish_restoration(order)
        if self.as_json:
            self.document({"name": finished.name, "schedules": finished.schedules})
        self.line(f"Schedules and notices go on: {', '.join(finished.schedules) or 'no schedule was on'}.")
        return 0
