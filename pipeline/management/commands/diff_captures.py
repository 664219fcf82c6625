"""`manage.py diff_captures`: the rows in which two vintages of a partition differ."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandParser

from pipeline import readers
from pipeline.finra.plain_text import printable
from pipeline.finra.rows import FIGURES, KEY, without_zeros
from pipeline.management.base import BadArguments, SpineCommand
from pipeline.management.capture_words import HELP, LATEST, PREVIOUS, select
from pipeline.models.data_kinds import as_table
from pipeline.readers import ReadersError

COLUMNS = ("change", *KEY, *(f"{figure}_{side}" for figure in FIGURES for side in ("before", "after")))


class Command(SpineCommand):
    """Print what changed from one capture to another, row by row, before and after."""

    help = (
        "Print the rows in which two captures of one partition differ: added, changed, removed, with the figures before "
        "and after. Exit code: 0, also when nothing differs; 2 could not run."
    )
    examples = (
        ("diff_captures OTC 2026-10-16", "what the newest capture of a partition changed"),
        ("diff_captures OTC 2026-10-16 v1 v3 --format csv", "between two versions, for a program"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The two captures, and the format."""
        parser.add_argument(
            "captures",
            nargs="+",
            metavar="CAPTURE",
            help=f"the earlier and the later one; of TIER WEEK alone the two newest: {HELP}",
        )
        parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As the base has it; a table for a program begins with its header, and has its mark in a column."""
        options["json"] = options["json"] or options["format"] == "json"
        self._is_csv = options["format"] == "csv" and not options["json"]
        return super().execute(*args, **options)

    def mark(self) -> None:
        """Say that the rows are invented, but in a table for a program."""
        if not self._is_csv:
            super().mark()

    def work(self, **options: Any) -> int:
        """Find both, compare, print."""
        before, after = select(options["captures"], (PREVIOUS, LATEST))
        try:
            found = readers.differences(from_capture=before.capture_id, to_capture=after.capture_id)
            table = found.frame.select(COLUMNS)
        except ReadersError as error:
            raise BadArguments(error.detail) from error
        rows = [tuple(map(_plain, row)) for row in table.iter_rows()]
        if self.as_json:
            documents = [dict(zip(table.columns, row, strict=True)) for row in rows]
            self.document({"before": before.capture_id, "after": after.capture_id, "changes": documents})
        elif options["format"] == "csv":
            shown = [[printable(cell) for cell in row] for row in rows] if self.on_terminal else rows
            csv.writer(self.stdout, lineterminator="\n").writerows(as_table(table.columns, shown))
        else:
            self.table(f"{before} -> {after}: {len(rows):,} rows differ", *_telling(table.columns, rows))
        return 0


def _plain(value: object) -> str:
    """A cell as text: a decimal exactly, nothing for nothing."""
    if value is None:
        return ""
    return f"{without_zeros(value):f}" if isinstance(value, Decimal) else str(value)


def _telling(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns that say something, and the cells of each row in them: the others only make a table wide."""
    telling = [at for at, column in enumerate(columns) if not rows or any(row[at] for row in rows)]
    return [columns[at] for at in telling], [[row[at] for at in telling] for row in rows]
