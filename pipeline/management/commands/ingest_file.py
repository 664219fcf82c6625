"""`manage.py ingest_file`: a file that somebody downloaded by hand, whatever its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline.capture import current
from pipeline.finra.calendar import PartitionKey, Tier, parse_run_date, parse_week
from pipeline.finra.sources.files.source import SingleFile
from pipeline.management.base import BadArguments, add_run_date, operator
from pipeline.management.plan_command import PlanCommand
from pipeline.models import data_kinds
from pipeline.runs.plan import make_plan
from pipeline.runs.request import Request


class Command(PlanCommand):
    """Ingest a partition's files by hand: the ATS half, the non-ATS half, or both."""

    help = (
        "Ingest files downloaded by hand as one partition, whatever their names: the ATS file, the non-ATS file "
        "(--nonats), or both, which is one capture. One half alone is refused where both are held. Exit code: 0 captured "
        "or unchanged, 1 refused or failed, 2 could not run."
    )
    examples = (
        ("ingest_file ~/Downloads/otc.csv --tier OTC --week 2026-10-16", "the ATS file of a partition"),
        ("ingest_file ats.csv --nonats firms.csv --tier OTC --week 2026-10-16", "both halves, as one capture"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The file, and the partition that it is."""
        parser.add_argument("path", type=Path, nargs="?", help="the ATS file, plain or .gz or .zst")
        parser.add_argument(
            "--nonats", type=Path, metavar="FILE", help="the non-ATS file of the same week, the other half"
        )
        parser.add_argument("--tier", required=True, help=f"one of {', '.join(Tier)}")
        parser.add_argument("--week", required=True, help="the week ending (a Friday), YYYY-MM-DD")
        add_run_date(parser)
        parser.add_argument("--force", action="store_true", help="capture it whatever it holds")
        parser.add_argument("--reason", default="", help="why, for the record; kept with the capture")
        parser.add_argument("--by", default=operator(), help="who brings it, for the record (default: %(default)s)")

    def work(self, **options: Any) -> int:
        """Plan for the one partition, run it."""
        run_date = parse_run_date(options["run_date"])
        key = PartitionKey(parse_week(options["week"], run_date), Tier.parse(options["tier"]))
        data_kinds.refuse_mixture(SingleFile.name)
        if options["path"] is None and options["nonats"] is None:
            raise BadArguments("name the ATS file, the non-ATS file by --nonats, or both")
        source = SingleFile(
            options["path"],
            key,
            settings.MARKETSPINE_MAX_FILE_BYTES,
            settings.MARKETSPINE_MAX_ROWS,
            reads_samples=data_kinds.works_on_samples(),
            non_ats=options["nonats"],
        )
        payload = source.fetch(key)
        payload.check()
        request = Request(
            command="ingest_file",
            run_date=run_date,
            tiers=(key.tier,),
            weeks=(key.week_ending,),
            source=source.name,
            origin=payload.sha256,
            even_before_due=True,
            force=options["force"],
            reason=options["reason"],
            requested_by=options["by"],
        )
        plan = make_plan(request, {key})
        if not options["force"]:
            self._say_what_is_missing(key, source)
        return self.run_here(plan, source)

    def _say_what_is_missing(self, key: PartitionKey, source: SingleFile) -> None:
        """One half alone is refused where both are held: nothing tells that the other is still as it was."""
        held = current.newest(key)
        if held is None:
            return
        halves = (
            ("non-ATS", held.rows_non_ats, source.non_ats, "--nonats FILE"),
            ("ATS", held.rows_kept - held.rows_non_ats, source.path, "the ATS file before the options"),
        )
        for name, rows, given, how in halves:
            if rows and given is None:
                self.warn(
                    f"{held} holds {rows:,} {name} rows, and no {name} file is given: one half alone would be refused. "
                    f"Give both in one command ({how}), or take the half with --force."
                )
