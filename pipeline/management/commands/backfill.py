"""`manage.py backfill`: a range of weeks, or a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from pipeline.finra.calendar import parse_week, parse_weeks, weeks_between
from pipeline.management.base import DRY_RUN, BadArguments, add_mode
from pipeline.management.plan_command import PlanCommand
from pipeline.runs.request import Only


class Command(PlanCommand):
    """Capture a range of weeks: the same plan and the same engine as the weekly run."""

    help = (
        "Capture a range of weeks, or a list. Prints what it will do first. Killed and started again, it goes on where it "
        "was. Exit code: 0 every due partition is good, 1 finished and something is not good, 2 could not run."
    )
    examples = (
        (
            "backfill --from 2026-08-07 --to 2026-10-30 --mode dry-run",
            "what it will do, and about how many requests to FINRA it makes",
        ),
        ("backfill --weeks 2026-10-16 --tiers OTC", "one partition again"),
        (
            "backfill --from 2025-01-03 --to 2026-10-30 --only missing --queue",
            "what was never captured, by the workers",
        ),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The weeks, and the partitions of them."""
        parser.add_argument("--from", dest="first", metavar="WEEK", help="the first week ending (a Friday)")
        parser.add_argument("--to", dest="last", metavar="WEEK", help="the last week ending (a Friday)")
        parser.add_argument("--weeks", metavar="WEEK,...", help="comma-separated week endings instead of a range")
        parser.add_argument(
            "--only",
            choices=[only.value for only in Only],
            default=Only.ALL,
            help="missing: never captured; captured: held already; failed: whose last try went wrong; all (default)",
        )
        self.add_run_arguments(parser)
        add_mode(parser, "prints the plan")

    def work(self, **options: Any) -> int:
        """Plan, print it, run it."""
        asked = self.requested("backfill", options)
        plan = self.plan(replace(asked, weeks=_weeks(options, asked.run_date), only=Only(options["only"])))
        if options["mode"] == DRY_RUN:
            return self.show_plan(plan)
        self.print_plan(plan)
        self.print_estimate(plan)
        return self.run_plan(plan, options)


def _weeks(options: dict[str, Any], run_date: date) -> tuple[date, ...]:
    """The weeks that the arguments name, newest first."""
    first, last, weeks = options["first"], options["last"], options["weeks"]
    if weeks is not None and first is None and last is None:
        return parse_weeks(weeks, run_date)
    if weeks is None and first is not None and last is not None:
        return weeks_between(parse_week(first, run_date), parse_week(last, run_date))
    raise BadArguments("name the weeks by --from and --to together, or by --weeks")
