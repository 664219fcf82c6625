"""`manage.py doctor`: what is wrong, and what repairs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline.finra.calendar import Tier, parse_run_date
from pipeline.management.base import SpineCommand, add_run_date, failed_if
from pipeline.models import Use
from pipeline.review.doctor import Diagnosis, diagnose

LEGEND = (
    "v2 calculated: version 2 is the newest capture, and the week's analytics are computed from it; stored: they are not "
    "yet. `show_capture OTC 2026-10-16` shows the newest of a partition."
)


class Command(SpineCommand):
    """Print the week x tier grid and, for everything wrong, the command that repairs it."""

    help = (
        "Show the week x tier grid of stages, and for what is missing, late, failed or stale the exact command that "
        "repairs it. Reads only. Exit code: 0 healthy, 1 something is to be repaired, 2 could not run."
    )
    examples = (
        ("doctor", "the weeks that the weekly job works on"),
        ("doctor --lookback-weeks 52", "a year of them"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """How many weeks, seen from what day."""
        parser.add_argument(
            "--lookback-weeks",
            type=int,
            metavar="N",
            default=settings.MARKETSPINE_LOOKBACK_WEEKS,
            help="the last N weeks of which every tier is due, and the newer ones (default: %(default)s)",
        )
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Diagnose, print."""
        diagnosis = diagnose(options["lookback_weeks"], parse_run_date(options["run_date"]))
        if self.as_json:
            self.document(
                {
                    "healthy": diagnosis.is_healthy,
                    "cells": [cell.as_document() for cell in diagnosis.cells],
                    "findings": [asdict(finding) for finding in diagnosis.findings],
                    "readiness": [asdict(verdict) for verdict in diagnosis.readiness],
                }
            )
        self._print_weeks(diagnosis)
        if any(cell.version for cell in diagnosis.cells):
            self.line(LEGEND)
        for finding in diagnosis.findings:
            for text in ("", *finding.what.splitlines(), f"  {finding.command}"):
                self.line(text)
        if diagnosis.is_healthy:
            self.line("Healthy: everything due is captured, and calculated from its newest captures.")
        return failed_if(not diagnosis.is_healthy)

    def _print_weeks(self, diagnosis: Diagnosis) -> None:
        """The grid; on a narrow terminal the tiers, and what the weeks may be used for beneath."""
        cells = {(cell.week_ending, cell.tier): cell.text for cell in diagnosis.cells}
        verdicts = {(verdict.week_ending, verdict.use): verdict.state for verdict in diagnosis.readiness}
        held = [(week, *(cells.get((week, tier), "") for tier in Tier)) for week in diagnosis.weeks]
        judged = [[verdicts.get((week, use), "") for use in Use.values] for week in diagnosis.weeks]
        columns = ("week ending", *Tier, *Use.values)
        rows = [(*of_tiers, *of_uses) for of_tiers, of_uses in zip(held, judged, strict=True)]
        if self.fits(columns, rows):
            self.table("Weeks", columns, rows)
            return
        self.table("Weeks", ("week ending", *Tier), held)
        self.table(
            "What they may be used for",
            ("week ending", "verdict"),
            zip(diagnosis.weeks, map(_told, judged), strict=True),
        )


def _told(states: Sequence[str]) -> str:
    """The verdicts of a week in a line: "BLOCKED for trading, compliance; PROVISIONAL for research"."""
    uses: dict[str, list[str]] = {}
    for use, state in zip(Use.values, states, strict=True):
        uses.setdefault(state or "not judged", []).append(use)
    return (
        next(iter(uses)) if len(uses) == 1 else "; ".join(f"{state} for {', '.join(of)}" for state, of in uses.items())
    )
