"""`manage.py ingest_file`: a file that somebody downloaded by hand, whatever its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import data_kinds
from pipeline.calendar import PartitionKey, Tier, parse_run_date, parse_week
from pipeline.management.base import RUN_DATE_HELP, operator
from pipeline.management.running import RunningCommand
from pipeline.planning import Request, make_plan
from pipeline.sources.files import SingleFile


class Command(RunningCommand):
    """Ingest one file as one partition."""

    help = (
        "Ingest a file downloaded by hand as one partition, whatever its name. Exit code: 0 captured or unchanged, "
        "1 refused or failed, 2 could not run."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The file, and the partition that it is."""
        parser.add_argument("path", type=Path, help="the file, plain or .gz or .zst")
        parser.add_argument("--tier", required=True, help=f"one of {', '.join(Tier)}")
        parser.add_argument("--week", required=True, help="the week ending (a Friday), YYYY-MM-DD")
        parser.add_argument("--run-date", help=RUN_DATE_HELP)
        parser.add_argument("--force", action="store_true", help="capture it whatever it holds")
        parser.add_argument("--reason", default="", help="why, for the record; kept with the capture")

    def work(self, **options: Any) -> int:
        """Plan for the one partition, run it."""
        run_date = parse_run_date(options["run_date"])
        key = PartitionKey(parse_week(options["week"], run_date), Tier.parse(options["tier"]))
        data_kinds.refuse_mixture(SingleFile.name)
        source = SingleFile(
            options["path"],
            key,
            settings.MARKETSPINE_MAX_FILE_BYTES,
            settings.MARKETSPINE_MAX_ROWS,
            reads_samples=data_kinds.works_on_samples(),
        )
        request = Request(
            command="ingest_file",
            run_date=run_date,
            tiers=(key.tier,),
            weeks=(key.week_ending,),
            source=source.name,
            origin=source.fetch(key).sha256,
            even_before_due=True,
            force=options["force"],
            reason=options["reason"],
            requested_by=operator(),
        )
        return self.run_here(make_plan(request, {key}), source)
