"""The summary of a run as a table."""

from __future__ import annotations

from pipeline.finra.calendar import Tier, due_date
from pipeline.management.base import SpineCommand
from pipeline.models import Action, ReadinessState
from pipeline.runs.summary import Summary


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
