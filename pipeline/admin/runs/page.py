"""The page of a run beside its progress: the request, its captures and anomalies, and its log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from pipeline.admin.runs.request_words import as_stored, in_words
from pipeline.admin.shared import figures
from pipeline.admin.shared.base import badge, link
from pipeline.admin.shared.lines import AnomalyLine, CaptureLine, acts_on
from pipeline.models import OperatorLogEntry, OperatorLogSubject, Run, RunStatus

SHOWN = 50
LOGGED = 100


@dataclass(frozen=True, slots=True)
class LogLine:
    """An event in a run: when, what, and why."""

    at: datetime
    what: str
    state: str
    reason: str


def contents(run: Run) -> dict[str, Any]:
    """The context of a run's page, without its progress. Six queries, whatever its size."""
    return {
        "words": in_words(run),
        "stored": as_stored(run),
        "log": log(run),
        "logged": LOGGED,
        "anomalies": [AnomalyLine(one) for one in run.anomalies.order_by("-pk")[:SHOWN]],
        "captures": _captures(run),
        "ordered": [OrderLine(entry) for entry in _orders(run)],
        "acts": acts_on([("run", [run.pk])]),
        "shown": SHOWN,
    }


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An act of an operator that started the run."""

    entry: OperatorLogEntry

    @property
    def link(self) -> str:
        return link(self.entry)


def _orders(run: Run) -> QuerySet[OperatorLogEntry]:
    """The acts that started it. Those on the run itself, which it may name too, are among its `acts`."""
    on_itself = OperatorLogSubject.objects.filter(entry=OuterRef("pk"), kind="run", key=str(run.pk))
    return run.log_entries.filter(~Exists(on_itself)).order_by("-pk")[:SHOWN]


def log(run: Run) -> list[LogLine]:
    """The last hundred events of the run, newest first."""
    lines = [*_steps(run), *_weeks(run), *_itself(run)]
    return sorted(lines, key=lambda line: line.at, reverse=True)[:LOGGED]


def _steps(run: Run) -> list[LogLine]:
    done = run.partitions.filter(finished_at__isnull=False).select_related("partition").order_by("-finished_at")
    return [
        LogLine(step.finished_at, link(step.partition), badge(step.outcome), step.reason)
        for step in done[:LOGGED]
        if step.finished_at
    ]


def _weeks(run: Run) -> list[LogLine]:
    closed = run.weeks.filter(closed_at__isnull=False).order_by("-closed_at")
    return [
        LogLine(week.closed_at, f"analytics of {week.week_ending}", badge(week.calculation), week.reason)
        for week in closed[:LOGGED]
        if week.closed_at
    ]


def _itself(run: Run) -> list[LogLine]:
    """Its start, its cancelling, its end."""
    asked = f"by {run.requested_by}" if run.requested_by else ""
    lines = [LogLine(run.created_at, "the run", badge("STARTED", "started"), f"{run.reason} {asked}".strip())]
    if run.cancelled_at:
        why = f"{run.cancel_reason} by {run.cancelled_by}".strip()
        lines.append(LogLine(run.cancelled_at, "the run", badge("CANCELLED", "cancelling"), why))
    if run.finished_at:
        label = RunStatus(run.status).label
        lines.append(LogLine(run.finished_at, "the run", badge(run.status), label))
    return lines


def _captures(run: Run) -> list[CaptureLine]:
    made = run.captures.select_related("partition").order_by("-pk")[:SHOWN]
    return [CaptureLine(capture, capture.partition.latest_id == capture.pk) for capture in made]


def summary(run: Run) -> list[tuple[str, str]]:
    """The person who started it, the trigger, the time and the duration."""
    return [
        ("Command", run.command),
        ("Started by", run.get_trigger_display() + (f", {run.requested_by}" if run.requested_by else "")),
        ("Started", f"{run.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Ended", f"{run.finished_at:%Y-%m-%d %H:%M:%S} UTC" if run.finished_at else figures.NONE),
    ]
