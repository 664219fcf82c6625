"""`manage.py diff_captures`: the rows in which two vintages of a partition differ."""

from __future__ import annotations

import csv
from typing import Any

from django.core.management.base import CommandParser

from pipeline.data_kinds import as_table
from pipeline.management.base import BadArguments, SpineCommand
from pipeline.plain_text import printable
from pipeline.row_versions import NoSuchVintage, RowChange, RowValues, difference
from pipeline.selectors import HELP, LATEST, PREVIOUS, select

COLUMNS = (
    "change",
    "symbol",
    "issue_name",
    "mpid",
    "firm",
    "shares_before",
    "shares_after",
    "trades_before",
    "trades_after",
    "last_update_before",
    "last_update_after",
)


class Command(SpineCommand):
    """Print what changed from one capture to another, row by row, before and after."""

    help = (
        "Print the rows in which two captures of one partition differ: added, changed, removed, with the figures before "
        "and after. Exit code: 0, also when nothing differs; 2 could not run."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Which two captures, and in what form."""
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
            changes = difference(before, after)
        except (NoSuchVintage, ValueError) as error:
            raise BadArguments(str(error)) from error
        rows = [_as_row(change) for change in changes]
        if self.as_json:
            documents = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
            self.document({"before": before.capture_id, "after": after.capture_id, "changes": documents})
        elif options["format"] == "csv":
            shown = [[printable(str(value)) for value in row] for row in rows] if self.on_terminal else rows
            csv.writer(self.stdout, lineterminator="\n").writerows(as_table(COLUMNS, shown))
        else:
            self.table(f"{before} -> {after}: {len(rows):,} rows differ", COLUMNS, rows)
        return 0


def _as_row(change: RowChange) -> tuple[object, ...]:
    key, before, after = change.key, _figures(change.before), _figures(change.after)
    pairs = (figure for pair in zip(before, after, strict=True) for figure in pair)
    return (change.kind, key.symbol, key.issue_name, key.mpid, key.firm, *pairs)


def _figures(values: RowValues | None) -> tuple[str, str, str]:
    if values is None:
        return "", "", ""
    return f"{values.shares:f}", str(values.trades), values.last_update_date
