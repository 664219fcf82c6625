"""`manage.py simulate_source`: sample publications for the demo and the tests."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipeline.calendar import last_fridays, market_today, parse_week
from pipeline.management.base import BadArguments, SpineCommand
from pipeline.samples import NotAPublication, Published, Restated, Size, publish, restate


class Command(SpineCommand):
    """Write files in FINRA's format with invented data."""

    needs_database = False
    help = (
        "Write sample publications into a folder: FINRA's real format, invented data, deterministic from the seed. "
        "--restate rewrites some of them as FINRA does. Exit code: 0, or 2 when it could not run."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Where, which weeks, how large, and whether to restate."""
        parser.add_argument("folder", type=Path, help="where to write; made when it is not there")
        parser.add_argument("--weeks", type=int, default=8, help="how many weeks of all tiers (default: 8)")
        parser.add_argument("--until", help="the last week ending, a Friday (default: the newest one)")
        parser.add_argument("--size", choices=[size.value for size in Size], default=Size.SMALL.value)
        parser.add_argument("--seed", type=int, default=7, help="decides all (default: 7)")
        parser.add_argument(
            "--restate", type=float, help="restate this share (0-1) of the files that are there, instead of publishing"
        )
        parser.add_argument("--if-empty", action="store_true", help="do nothing when the folder has publications")

    def work(self, **options: Any) -> int:
        """Publish, or restate what is published."""
        folder: Path = options["folder"]
        _check(options)
        try:
            if options["if_empty"] and _has_publications(folder):
                self.line(f"{folder} has publications already: nothing to simulate.")
                self._document([], [])
            else:
                self._simulate(folder, options)
        except OSError as error:
            raise BadArguments(f"{error.filename or folder} cannot be used: {error.strerror}") from error
        except NotAPublication as error:
            raise BadArguments(str(error)) from error
        return 0

    def _simulate(self, folder: Path, options: dict[str, Any]) -> None:
        published, restated = [], []
        if options["restate"] is None or not _has_publications(folder):
            published = self._publish(folder, options)
        if options["restate"] is not None:
            restated = self._restate(folder, options)
        self._document(published, restated)

    def _publish(self, folder: Path, options: dict[str, Any]) -> list[Published]:
        until = parse_week(options["until"], date.max) if options["until"] else last_fridays(1, market_today())[0]
        weeks = last_fridays(options["weeks"], until)
        published = publish(folder, weeks=weeks, seed=options["seed"], size=Size(options["size"]))
        span = f"{weeks[-1]} to {weeks[0]}"
        self.line(f"Simulated {len(published)} publications, {_rows(published):,} rows, weeks {span}, in {folder}.")
        return published

    def _restate(self, folder: Path, options: dict[str, Any]) -> list[Restated]:
        restated = restate(folder, seed=options["seed"], share=options["restate"])
        for file in restated:
            self.line(f"restated {file.path.name}: {file.changed} changed, {file.added} added, {file.removed} removed")
        if not restated:
            self.line(f"Restated nothing in {folder}.")
        return restated

    def _document(self, published: list[Published], restated: list[Restated]) -> None:
        """What was written, as the one JSON document; nothing beside text."""
        if self.as_json:
            files = [{"file": file.path.name, "rows": file.rows} for file in published]
            changes = [{**_figures(file), "file": file.path.name} for file in restated]
            self.document({"files": files, "rows": _rows(published), "restated": changes})


def _check(options: dict[str, Any]) -> None:
    if options["weeks"] < 1:
        raise BadArguments(f"--weeks must be at least 1, not {options['weeks']}")
    if options["restate"] is not None and not 0 <= options["restate"] <= 1:
        raise BadArguments(f"--restate is a share from 0 to 1, not {options['restate']}")
    if options["folder"].exists() and not options["folder"].is_dir():
        raise BadArguments(f"{options['folder']} is not a folder")


def _has_publications(folder: Path) -> bool:
    return any(folder.glob("[!.]*_week_*.psv*"))  # what a killed run left half written begins with a dot


def _rows(published: list[Published]) -> int:
    return sum(file.rows for file in published)


def _figures(file: Restated) -> dict[str, int]:
    return {"changed": file.changed, "added": file.added, "removed": file.removed}
