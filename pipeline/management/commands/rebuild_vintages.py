"""`manage.py rebuild_vintages`: make vintage files, and those of symbols, again that are lost or damaged."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.finra.calendar import parse_run_date, parse_weeks
from pipeline.management.base import SpineCommand, add_run_date, failed_if, operator
from pipeline.models import Capture
from pipeline.operations import Order
from pipeline.operations.rebuilding import Fate, Rebuilt, summary


class Command(SpineCommand):
    """Make lost or damaged vintage files again, from the archived payloads."""

    help = (
        "Make vintage files again that are missing, have another size or were found to be damaged, from the archived "
        "payloads of their captures: the same rows, with the same content hash; then the files of the symbols of analytics "
        "snapshots, from the vintage files. Exit code: 0 all are whole, 1 some cannot "
        "be made again, 2 could not run."
    )
    examples = (
        ("rebuild_vintages", "what is missing or damaged"),
        ("rebuild_vintages --weeks 2026-10-16 --verify", "of one week, after reading each file"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The weeks, and whether every file is read whole."""
        parser.add_argument("--weeks", metavar="WEEK,...", help="week endings, YYYY-MM-DD (default: all)")
        parser.add_argument(
            "--verify", action="store_true", help="read every file whole, and find what has changed in it"
        )
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Rebuild, print each file that was lost."""
        today = parse_run_date(options["run_date"])
        weeks = parse_weeks(options["weeks"], today) if options["weeks"] else ()
        order = Order(operator=operator())
        done: list[Rebuilt] = []
        for one in operations.rebuild_vintages(weeks, order, today, verify=options["verify"]):
            done.append(one)
            if one.fate is not Fate.WHOLE:
                self.line(f"{one.fate:<7}  {one.of}  {one.why}")
        self.line(summary(done))
        if self.as_json:
            self.document({"files": [_as_document(one) for one in done]})
        return failed_if(any(one.fate is Fate.LOST for one in done))


def _as_document(one: Rebuilt) -> dict[str, object]:
    path, size, sha256 = one.file
    named = "capture_id" if isinstance(one.of, Capture) else "snapshot"
    return {named: str(one.of), "path": path, "bytes": size, "sha256": sha256, "fate": one.fate, "why": one.why}
