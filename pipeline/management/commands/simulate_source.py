"""`manage.py simulate_source`: invented publications for the demo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline.finra.calendar import PartitionKey, Tier, is_due, last_fridays, parse_run_date, parse_week
from pipeline.finra.payloads import is_sample
from pipeline.finra.samples import NotAPublication, Published, Restated, Size, publish_samples, restate
from pipeline.management.base import BadArguments, SpineCommand, add_run_date
from pipeline.management.output_paths import folder_to_fill
from pipeline.models import data_kinds

DEFAULT_FOLDER = settings.DEMO_DIR / "source"
HEAD = 64 * 1024  # bytes: hundreds of rows, and nearly each has a venue


class Command(SpineCommand):
    """Write files in FINRA's format with invented data, marked as such."""

    needs_database = False
    help = (
        "Write samples into a folder: FINRA's format, invented data, deterministic from the seed, every venue marked as a "
        "sample. Of the last weeks, it writes the files that are published by now and not there yet. It overwrites none, "
        "and refuses a folder that holds anything else. --restate rewrites some samples as FINRA restates. "
        "Exit code: 0, or 2 when it could not run."
    )
    examples = (
        ("simulate_source", "what samples are missing"),
        ("simulate_source --restate 0.2 --seed 2", "a fifth of the files restated"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Where, which weeks, how large, and whether to restate."""
        parser.add_argument(
            "folder",
            type=Path,
            nargs="?",
            default=DEFAULT_FOLDER,
            help="where to write; it is made when it is not there (default: the demo's, var/demo/source)",
        )
        parser.add_argument(
            "--weeks",
            type=int,
            metavar="N",
            default=13,
            help="the last N weeks; the newest of them have no file yet, since FINRA publishes two to four weeks later "
            "(default: %(default)s)",
        )
        parser.add_argument("--until", metavar="WEEK", help="the last week ending, a Friday (default: the newest one)")
        parser.add_argument(
            "--size",
            choices=[size.value for size in Size],
            default=Size.SMALL.value,
            help="hundreds of rows in a file, or as many as FINRA's have (default: %(default)s)",
        )
        parser.add_argument(
            "--seed", type=int, metavar="N", default=7, help="the same seed, the same samples (default: %(default)s)"
        )
        parser.add_argument(
            "--restate",
            type=float,
            metavar="SHARE",
            help="restate this share of the files that are there, from 0 to 1, instead of writing new ones",
        )
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Publish, or restate what is published."""
        folder: Path = options["folder"]
        if folder != DEFAULT_FOLDER:
            folder_to_fill(folder)
        today = parse_run_date(options["run_date"])
        _check(options)
        try:
            _refuse_what_is_not_samples(folder)
            self._simulate(folder, today, options)
        except OSError as error:
            raise BadArguments(f"{error.filename or folder} cannot be used: {error.strerror}") from error
        except NotAPublication as error:
            raise BadArguments(str(error)) from error
        return 0

    def _simulate(self, folder: Path, today: date, options: dict[str, Any]) -> None:
        published, restated = [], []
        if options["restate"] is None or not any(_files(folder)):
            published = self._publish(folder, today, options)
        if options["restate"] is not None:
            restated = self._restate(folder, today, options)
        if self.as_json:
            files = [{"file": file.path.name, "rows": file.rows} for file in published]
            changes = [{**_figures(file), "file": file.path.name} for file in restated]
            self.document({"files": files, "rows": _rows(published), "restated": changes})

    def _publish(self, folder: Path, today: date, options: dict[str, Any]) -> list[Published]:
        until = parse_week(options["until"], date.max) if options["until"] else last_fridays(1, today)[0]
        keys = [PartitionKey(week, tier) for week in last_fridays(options["weeks"], until) for tier in Tier]
        due = [key for key in keys if is_due(key, today)]
        published = publish_samples(folder, due, options["seed"], Size(options["size"]))
        sentence = f"Wrote {len(published)} samples, {_rows(published):,} rows" if published else "No sample is missing"
        self.line(f"{sentence}: all that is published by {today}, in {os.path.relpath(folder)}.")
        return published

    def _restate(self, folder: Path, today: date, options: dict[str, Any]) -> list[Restated]:
        restated = restate(folder, seed=options["seed"], share=options["restate"], today=today)
        for file in restated:
            self.line(f"restated {file.path.name}: {file.changed} changed, {file.added} added, {file.removed} removed")
        if not restated:
            self.line(f"Restated nothing in {os.path.relpath(folder)}.")
        return restated


def _check(options: dict[str, Any]) -> None:
    if options["weeks"] < 1:
        raise BadArguments(f"--weeks must be at least 1, not {options['weeks']}")
    if options["restate"] is not None and not 0 <= options["restate"] <= 1:
        raise BadArguments(f"--restate is a share from 0 to 1, not {options['restate']}")


def _refuse_what_is_not_samples(folder: Path) -> None:
    """BadArguments for the folder of somebody's own data, whether it holds any or is empty."""
    own = [settings.VAR_DIR / "source"]
    if not data_kinds.works_on_samples():
        own.append(Path(settings.MARKETSPINE_SOURCE_DIR))
    if folder.resolve() in {path.resolve() for path in own}:
        raise BadArguments(
            f"{folder} is where FINRA's own files are read from, and samples never go there: name another"
        )
    strangers = [path.name for path in _files(folder) if not _is_sample(path)]
    if strangers:
        raise BadArguments(
            f"{folder} holds {strangers[0]!r}, which is no sample: samples go into a folder of their own; name another"
        )


def _files(folder: Path) -> Iterator[Path]:
    """The files in the folder. A hidden file is no publication: a killed run leaves one half written."""
    return (path for path in sorted(folder.glob("*")) if not path.name.startswith("."))


def _is_sample(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".psv":
        return False
    with path.open("rb") as file:
        return is_sample(file.read(HEAD))


def _rows(published: list[Published]) -> int:
    return sum(file.rows for file in published)


def _figures(file: Restated) -> dict[str, int]:
    return {"changed": file.changed, "added": file.added, "removed": file.removed}
