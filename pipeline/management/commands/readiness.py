"""`manage.py readiness`: whether weeks may be used, for a script: by its exit code, with the reasons."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from pipeline import readers
from pipeline.finra.calendar import fully_due_weeks, parse_run_date, parse_week
from pipeline.management.base import BadArguments, SpineCommand, add_run_date, failed_if
from pipeline.models import ReadinessState, Use

MOST_WEEKS = 600


class Command(SpineCommand):
    """Say of weeks whether they may be used."""

    help = (
        "Say whether weeks may be used, and what stands in the way. Exit code: 0 every week asked is READY for the use, 1 "
        "some week is not, 2 could not run."
    )
    examples = (
        ("readiness && ./trade.sh", "trade only when the newest week is READY"),
        ("readiness --week 2026-10-16 --use research --allow-provisional", "one week, for another use"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """Which weeks, for what."""
        weeks = parser.add_mutually_exclusive_group()
        weeks.add_argument("--week", help="a week ending YYYY-MM-DD (default: the last of which every tier is due)")
        weeks.add_argument("--weeks", type=int, metavar="N", help="the last N weeks of which every tier is due")
        parser.add_argument("--use", choices=Use.values, default=Use.TRADING.value, help="default: %(default)s")
        parser.add_argument("--allow-provisional", action="store_true", help="let a PROVISIONAL week count as READY")
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Ask, print a line for each week and each reason."""
        today = parse_run_date(options["run_date"])
        weeks = [parse_week(options["week"], today)] if options["week"] else list(_last(options["weeks"], today))
        answer = readers.readiness(week_ending=weeks, use=options["use"], on_day=today)
        good = {ReadinessState.READY.value} | (
            {ReadinessState.PROVISIONAL.value} if options["allow_provisional"] else set()
        )
        verdicts = answer.to_dicts()[::-1]
        for verdict in verdicts:
            self.line(f"{verdict['week_ending']}  {verdict['use']}  {verdict['state']}")
            for code, reason in zip(verdict["reason_codes"], verdict["reasons"], strict=True):
                self.line(f"  {code}: {reason}")
        usable = all(verdict["state"] in good for verdict in verdicts)
        if self.as_json:
            self.document({"usable": usable, "use": options["use"], "weeks": verdicts})
        return failed_if(not usable)


def _last(number: int | None, today: date) -> tuple[date, ...]:
    if number is not None and not 1 <= number <= MOST_WEEKS:
        raise BadArguments(f"--weeks: at least 1 and at most {MOST_WEEKS}, not {number}")
    return fully_due_weeks(number or 1, today)
