"""The summary of a run as a table, and the commands to run next."""

from __future__ import annotations

from django.conf import settings

from marketspine.addresses import IN_PROCESS
from pipeline.finra.calendar import WEEK, Tier, due_date, fully_due_weeks
from pipeline.management.base import SpineCommand
from pipeline.models import Action, Capture, Outcome, ReadinessState, Run, data_kinds
from pipeline.runs.summary import Summary

DOCTOR_SHOWS = {
    0: "every week: what is captured, and what may be used",
    1: "what is missing or failed, and the command that repairs it",
}


def print_summary(command: SpineCommand, summary: Summary) -> None:
    """Weeks, partitions, ingestion, normalization, analytics, readiness, anomalies: always in this order."""
    rows = [
        ("Weeks", f"{len(summary.weeks)}: {_span(summary)}"),
        ("Partitions", f"{summary.partitions['total']} total, {summary.partitions['due']} due"),
        *((("Not yet due", _first_due(summary)),) if summary.partitions["not_yet_due"] else ()),
        ("Ingestion", _counts(summary.ingestion)),
        ("Normalization", _counts(summary.normalization)),
        ("Analytics", _counts(summary.analytics)),
        *((f"Readiness, {use}", _states(states)) for use, states in summary.readiness.items()),
        ("Open anomalies", _counts(summary.anomalies)),
        *((("Archive", _archive(summary.archive)),) if summary.archive else ()),
        (
            "Exit code",
            f"{summary.exit_code} ({_meaning(summary)})",
        ),
    ]
    command.line()
    command.table(f"Run {summary.run}, {summary.run_date}, {summary.status}", ("", "result"), rows)


def _meaning(summary: Summary) -> str:
    """The exit code in words. A tier that was not part of the run may block its week all the same."""
    if summary.exit_code:
        return "see above"
    if any(states[ReadinessState.BLOCKED] for states in summary.readiness.values()):
        return "every due partition of this run is good; what blocks a week was not part of it, see doctor"
    return "every due partition is good"


def _span(summary: Summary) -> str:
    return f"{min(summary.weeks)} to {max(summary.weeks)}" if summary.weeks else "none"


def _first_due(summary: Summary) -> str:
    """The partition that FINRA publishes next."""
    waiting = [step for step in summary.steps if step.action == Action.NOT_YET_DUE]
    due, tier, week = min(
        (due_date(Tier(step.tier), step.week_ending), step.tier, step.week_ending) for step in waiting
    )
    return f"{len(waiting)}; the next is {tier} of {week}, on {due}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def _archive(sentences: list[str]) -> str:
    return (
        sentences[0] if len(sentences) == 1 else f"{sentences[0]}; and {len(sentences) - 1} more, which `doctor` names"
    )


def _states(states: dict[str, int]) -> str:
    counted = [f"{states[state]} {state}" for state in ReadinessState.values if states[state]]
    return ", ".join(counted) or "no week"


def print_next(command: SpineCommand, run: Run, summary: Summary) -> None:
    """Print the commands to run next."""
    command.line("Next:")
    for words, shows in (_doctor(summary), *_vintage_to_see(run), *_dashboard()):
        command.line(f"  {data_kinds.manage_py()} {words}")
        command.line(f"      {shows}")


def _doctor(summary: Summary) -> tuple[str, str]:
    """Doctor, with a look-back as long as it takes to see the oldest week of the run."""
    newest = fully_due_weeks(1, summary.run_date)[0]
    weeks = (newest - min(summary.weeks, default=newest)) // WEEK + 1
    far = f" --lookback-weeks {weeks}" if weeks > settings.MARKETSPINE_LOOKBACK_WEEKS else ""
    return f"doctor{far}", DOCTOR_SHOWS[summary.exit_code]


def _dashboard() -> list[tuple[str, str]]:
    """The command that serves the dashboard, where no other process does already."""
    if settings.CELERY_BROKER_URL != IN_PROCESS:
        return []
    return [("serve --demo" if settings.MARKETSPINE_DEMO else "serve", "the dashboard, on http://127.0.0.1:8000")]


def _vintage_to_see(run: Run) -> list[tuple[str, str]]:
    """The command that shows a restatement of this run, or else any capture of it; none without a capture."""
    captured = run.partitions.filter(capture__isnull=False).select_related("capture").order_by("pk")
    restated = captured.filter(outcome=Outcome.RESTATED).first()
    if restated and restated.capture:
        before = Capture.objects.get(partition=restated.partition_id, version=restated.capture.version - 1)
        return [(f"diff_captures {before} {restated.capture}", "the rows that were restated")]
    shown = captured.first()
    return [(f"show_capture {shown.capture}", "one vintage: its figures, and where it came from")] if shown else []
