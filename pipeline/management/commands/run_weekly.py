"""`manage.py run_weekly`: the main job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline.finra.calendar import CalendarError, parse_weeks
from pipeline.management.base import DRY_RUN, add_mode
from pipeline.management.plan_command import PlanCommand
from pipeline.runs.request import OnlyStage


class Command(PlanCommand):
    """Capture the last N weeks, skip what has not changed, calculate, judge readiness."""

    help = (
        "Capture the last N weeks, skip what has not changed, compute the week's analytics and judge "
        "readiness. Exit code: 0 every due partition is good, 1 finished and something is not good, 2 could not run."
    )
    examples = (
        ("run_weekly --mode dry-run", "the plan, with the reason for each step"),
        ("run_weekly", "look at the last weeks, and capture what is missing or has changed"),
        ("run_weekly --weeks 2026-10-16 --only-stage calc", "compute the analytics of a week again"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The weeks, the stages, run or dry run."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--lookback-weeks",
            type=int,
            metavar="N",
            default=settings.MARKETSPINE_LOOKBACK_WEEKS,
            help="the last N weeks of which every tier is due, and what is due of newer ones (default: %(default)s)",
        )
        which.add_argument("--weeks", metavar="WEEK,...", help="week endings (Fridays) instead: 2025-12-26,2025-12-19")
        self.add_run_arguments(parser)
        add_mode(parser, "prints the plan")
        parser.add_argument(
            "--only-stage",
            choices=[stage.value for stage in OnlyStage],
            default=OnlyStage.ALL.value,
            help="work on one stage only",
        )

    def work(self, **options: Any) -> int:
        """Plan, then print or run it."""
        if options["lookback_weeks"] < 1:
            raise CalendarError(f"--lookback-weeks must be at least 1, not {options['lookback_weeks']}")
        asked = self.requested("run_weekly", options)
        request = replace(
            asked,
            weeks=parse_weeks(options["weeks"], asked.run_date) if options["weeks"] is not None else None,
            lookback_weeks=options["lookback_weeks"],
            only_stage=OnlyStage(options["only_stage"]),
        )
        plan = self.plan(request)
        if options["mode"] == DRY_RUN:
            return self.show_plan(plan)
        return self.run_plan(plan, options)
