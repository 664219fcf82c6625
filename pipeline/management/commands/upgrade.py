"""`manage.py upgrade --check`: what to know before the database is migrated."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline.keeping import upgrade
from pipeline.keeping.upgrade import Step
from pipeline.management.base import SpineCommand, failed_if


class Command(SpineCommand):
    """Look before `migrate`, which does the upgrade."""

    help = (
        "Say what `migrate` will do to this database: the migrations to come, the tables that they lock with their rows, "
        "whether a backup is fresh, and what is under way. Reads only. Exit code: 0 nothing speaks against it, 1 something "
        "does, 2 could not run."
    )
    examples = (("upgrade --check", "before the new version is started"),)
    needs_database = False

    def add_own_arguments(self, parser: CommandParser) -> None:
        """There is no other way than to look."""
        parser.add_argument("--check", action="store_true", required=True, help="look; `migrate` upgrades")

    def work(self, **_options: Any) -> int:
        """Look, print."""
        found = upgrade.outlook()
        if self.as_json:
            steps = [{"name": step.name, "does": step.does, "locks": step.locks} for step in found.steps]
            self.document({"version": found.version, "migrations": steps, "against": found.against})
        self.line(f"Version {found.version}: {len(found.steps)} migrations are to come.")
        for step in found.steps:
            self._print_step(step)
        for reason in found.against:
            self.line(f"Not now: {reason}.")
        if not found.against:
            self.line("Nothing speaks against it.")
        return failed_if(bool(found.against))

    def _print_step(self, step: Step) -> None:
        locks = ", ".join(f"{table} ({rows:,} rows)" for table, rows in step.locks.items())
        self.line(f"{step.name}: {f'locks {locks}' if locks else 'locks no table that is there'}")
        for what in step.does:
            self.line(f"  {what}")
