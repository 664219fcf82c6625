"""How a command runs a plan: print it, or execute it with progress, then print the summary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline import runs, sources, workers
from pipeline.calendar import Tier, market_today
from pipeline.management.base import BadArguments, SpineCommand
from pipeline.models import ReadinessState, Run, RunPartition
from pipeline.planning import OnlyStage, Plan, Request, Step, make_plan, target_keys
from pipeline.sources.base import Source
from pipeline.summary import Summary, exit_code, summarize

NEXT = {
    0: "Next: `python manage.py doctor` shows every week, `python manage.py show_capture CAPTURE_ID` one vintage.",
    1: "Next: `python manage.py doctor` names what is missing or failed, and the command that repairs it.",
}


class RunningCommand(SpineCommand):
    """A command that makes a plan and runs it."""

    def add_run_arguments(self, parser: CommandParser) -> None:
        """The arguments that decide where from, for which tiers, on what day, and why."""
        parser.add_argument("--tiers", default=",".join(Tier), help="comma-separated (default: all three)")
        parser.add_argument("--source", default=settings.MARKETSPINE_SOURCE, help="where from (default: %(default)s)")
        parser.add_argument(
            "--source-dir", default=settings.MARKETSPINE_SOURCE_DIR, help="the folder of the files source"
        )
        parser.add_argument("--force", action="store_true", help="capture whatever the source holds, changed or not")
        parser.add_argument("--reason", default="", help="why, for the record; kept with every capture made")
        parser.add_argument("--run-date", help="YYYY-MM-DD to take for today (default: today in America/New_York)")

    def open_source(self, options: dict[str, Any]) -> Source:
        """The source that the arguments name."""
        limits = sources.SourceOptions(root=Path(options["source_dir"]), max_bytes=settings.MARKETSPINE_MAX_FILE_BYTES)
        return sources.open_source(options["source"], limits)

    def plan(self, request: Request, source: Source) -> Plan:
        """The plan, made with what the source has now; a source that cannot be asked ends the command."""
        if request.force and request.only_stage in (OnlyStage.NORMALIZE, OnlyStage.CALC):
            raise BadArguments(
                f"--force captures again, and --only-stage {request.only_stage} fetches nothing: drop one"
            )
        if request.only_stage in (OnlyStage.NORMALIZE, OnlyStage.CALC):
            return make_plan(request)
        return make_plan(request, source.available(target_keys(request)))

    def print_plan(self, plan: Plan) -> None:
        """Every step that a run would take, with its reason."""
        steps = runs.remaining(plan).steps
        rows = [(step.key.week_ending, step.key.tier, step.action, step.reason) for step in steps]
        self.table("Plan", ("week ending", "tier", "action", "why"), rows)

    def show_plan(self, plan: Plan) -> int:
        """A dry run: the plan, and nothing else."""
        if self.as_json:
            self.document({"plan": [_as_document(step) for step in runs.remaining(plan).steps]})
        self.print_plan(plan)
        return 0

    def run_plan(self, plan: Plan, source: Source) -> int:
        """Execute the plan (or go on with an interrupted run of it), print the summary; the run's exit code."""
        for dead in runs.take_back_dead():
            self.line(f"Run {dead.pk} died before its end; what it had not finished is taken back.")
        with workers.working() as worker:
            run = self._resumed(plan, worker) or runs.start(plan, worker)
            run = self._execute(run, source)
        summary = summarize(run)
        if self.as_json:
            self.document(summary.as_json())
        else:
            print_summary(self, summary)
            self.line(NEXT[exit_code(run)])
        return exit_code(run)

    def _resumed(self, plan: Plan, worker: str) -> Run | None:
        run = runs.resumable(plan, worker)
        if run is not None:
            done = run.partitions.exclude(outcome="").count()
            self.line(f"Going on with run {run.pk}: {done} of {run.partitions.count()} partitions are done.")
        return run

    def _execute(self, run: Run, source: Source) -> Run:
        if not self.on_terminal:
            return runs.execute(run, source, self._print_step)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Partitions", total=run.partitions.count())
            return runs.execute(run, source, _advance(bar, task, self))

    def _print_step(self, step: RunPartition) -> None:
        self.line(f"{step.partition.week_ending} {step.partition.tier:<10}  {step.outcome:<11}  {step.reason}")


def _advance(bar: Progress, task: Any, command: RunningCommand) -> Callable[[RunPartition], None]:
    def advance(step: RunPartition) -> None:
        bar.update(task, advance=1, description=f"{step.partition} {step.outcome}")
        bar.console.print(f"{step.partition.week_ending} {step.partition.tier:<10}  {step.outcome:<11}  {step.reason}")

    return advance


def _as_document(step: Step) -> dict[str, object]:
    return {"week_ending": step.key.week_ending, "tier": step.key.tier, "action": step.action, "reason": step.reason}


def parse_run_date(text: str | None) -> date:
    """The day to take for today."""
    if text is None:
        return market_today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadArguments(f"--run-date: {text!r} is not a date; write YYYY-MM-DD") from None


def print_summary(command: SpineCommand, summary: Summary) -> None:
    """Weeks, partitions, ingestion, normalization, analytics, readiness, anomalies: always in this order."""
    rows = [
        ("Weeks", f"{len(summary.weeks)}: {_span(summary)}"),
        ("Partitions", _counts(summary.partitions)),
        ("Ingestion", _counts(summary.ingestion)),
        ("Normalization", _counts(summary.normalization)),
        ("Analytics", _counts(summary.analytics)),
        *((f"Readiness, {use}", _states(states)) for use, states in summary.readiness.items()),
        ("Open anomalies", _counts(summary.anomalies)),
        (
            "Exit code",
            f"{summary.exit_code} ({'every due partition is good' if not summary.exit_code else 'see above'})",
        ),
    ]
    command.line()
    command.table(f"Run {summary.run}, {summary.run_date}, {summary.status}", ("", "result"), rows)


def _span(summary: Summary) -> str:
    return f"{min(summary.weeks)} to {max(summary.weeks)}" if summary.weeks else "none"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def _states(states: dict[str, int]) -> str:
    counted = [f"{states[state]} {state}" for state in ReadinessState.values if states[state]]
    return ", ".join(counted) or "no week"
