"""`manage.py probe_restatements`: whether FINRA has restated weeks outside the look-back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection

from pipeline.capture.probe import Probe, ask
from pipeline.finra.calendar import PartitionKey, last_fridays, parse_week, weeks_between
from pipeline.finra.sources.api.access import NAME
from pipeline.finra.sources.base import Source, SourceError
from pipeline.management.base import DRY_RUN, BadArguments, add_mode, failed_if
from pipeline.management.plan_command import PlanCommand
from pipeline.models import Action, Capture
from pipeline.runs.estimate import QUESTIONS
from pipeline.runs.plan import Plan
from pipeline.runs.request import Only
from pipeline.runs.sources import PLAN_SECONDS, source_of


class Command(PlanCommand):
    """Ask of every captured partition whether it moved, and capture again those that did."""

    help = (
        "Ask FINRA's API of every captured partition whether any row was updated, added or removed since: three small "
        "requests each (rows updated after the newest lastUpdateDate held, rows updated on it, all rows). Only what moved "
        "is captured again. Exit code: 0 every partition was asked and is good, 1 finished with failures, 2 could not run."
    )
    examples = (
        ("probe_restatements --mode dry-run", "which captured weeks has FINRA restated since?"),
        ("probe_restatements --from 2026-01-02", "capture what has moved since the first week of 2026"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The weeks, run or dry run."""
        parser.add_argument(
            "--from", dest="first", metavar="WEEK", help="the first week (default: the oldest captured)"
        )
        parser.add_argument("--to", dest="last", metavar="WEEK", help="the last week (default: the newest)")
        self.add_run_arguments(parser, source=NAME)
        add_mode(parser, "asks, says what moved")

    def work(self, **options: Any) -> int:
        """Ask, and run over what moved."""
        if options["force"]:
            raise BadArguments("--force captures without asking whether anything moved: use backfill --force")
        if options["source"] != NAME:
            raise BadArguments(
                f"the source {options['source']!r} cannot be asked whether something moved; {NAME!r} can"
            )
        asked = self.requested("probe_restatements", options)
        weeks = _weeks(options["first"], options["last"], asked.run_date)
        plan = self.plan(replace(asked, weeks=weeks, only=Only.CAPTURED, probe=True))
        if not plan.steps:
            raise BadArguments("nothing is captured of these weeks: there is nothing to ask about")
        self.print_estimate(plan)
        return self._ask(plan) if options["mode"] == DRY_RUN else self._run(plan, options)

    def _run(self, plan: Plan, options: dict[str, Any]) -> int:
        """A run; what it asked, and how long it took."""
        started = time.monotonic()
        code = self.run_plan(plan, options)
        if not options["no_wait"]:
            took = time.monotonic() - started
            self.line(f"{len(plan.steps):,} partitions asked in {took:.0f} s, {QUESTIONS} requests each.")
        return code

    def _ask(self, plan: Plan) -> int:
        """A dry run: the questions are asked, and nothing is written."""
        source, started = source_of(plan.request, PLAN_SECONDS), time.monotonic()
        keys = [step.key for step in plan.steps if step.action is Action.PROBE]
        held = Capture.objects.newest_by_key({key.week_ending for key in keys})
        with ThreadPoolExecutor(settings.MARKETSPINE_FINRA_CONNECTIONS) as pool:
            answers = list(pool.map(partial(_answer, source), (held[key] for key in keys)))
        moved = [answer for answer in answers if answer.probe is not None and answer.probe.moved]
        unasked = [answer for answer in answers if answer.probe is None]
        took = time.monotonic() - started
        if self.as_json:
            self.document(
                {
                    "asked": len(keys),
                    "moved": [{"partition": str(answer.key), "why": answer.reason} for answer in moved],
                    "not_asked": [{"partition": str(answer.key), "why": answer.reason} for answer in unasked],
                }
            )
        for answer in (*moved, *unasked):
            self.line(f"{answer.key}: {answer.reason}")
        self.line(
            f"{len(keys):,} partitions asked in {took:.0f} s (up to {len(keys) * QUESTIONS:,} requests): "
            f"{len(moved):,} moved."
        )
        return failed_if(bool(unasked))


@dataclass(frozen=True, slots=True)
class _Answer:
    """The source's answer about a partition; `probe` is None where it could not be asked."""

    key: PartitionKey
    reason: str
    probe: Probe | None = None


def _answer(source: Source, held: Capture) -> _Answer:
    key = held.partition.key
    try:
        found = ask(held, key, source)
    except SourceError as error:
        return _Answer(key, f"not asked: {error}")
    finally:
        connection.close()  # this thread's
    return _Answer(key, found.reason, found)


def _weeks(first: str | None, last: str | None, run_date: date) -> tuple[date, ...]:
    """The weeks from the first to the last given; all that are captured where one is not."""
    oldest = Capture.objects.order_by("partition__week_ending").values_list("partition__week_ending", flat=True).first()
    if oldest is None:
        raise BadArguments("nothing is captured yet: `backfill --source api --from ... --to ...` comes first")
    newest = last_fridays(1, run_date)[0]
    begin = parse_week(first, run_date) if first else min(oldest, newest)
    return weeks_between(begin, parse_week(last, run_date) if last else newest)
