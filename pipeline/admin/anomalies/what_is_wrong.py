"""The faults in the weeks of the dashboard, each with the act that repairs it: one click where that is safe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from pipeline.admin.shared.acting import may
from pipeline.admin.shared.base import badge, page_url
from pipeline.models import Act, Anomaly, Readiness, RunStatus
from pipeline.operations import new_token
from pipeline.review import dashboard
from pipeline.review.grid import Cell, CellState
from pipeline.runs.stopped import Stopped, stopped

# Safe to repeat: unchanged content is not captured again, and an anomaly ends with its fault.
AGAIN = (CellState.LATE, CellState.FAILED, CellState.REFUSED)
WRONG = (*AGAIN, CellState.MISSING, CellState.ARCHIVED, CellState.BLOCKED, CellState.DAMAGED)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fault: its place, its state, and the button that mends it (`posts` at once, or leads to a page)."""

    where: str
    url: str
    state: str
    detail: str
    act: str = ""
    act_url: str = ""
    posts: bool = False
    token: str = field(default_factory=new_token)


def what_is_wrong(request: HttpRequest, weeks: Iterable[dashboard.Week]) -> dict[str, Any]:
    """The context of the list: runs that stopped, faulty partitions, newest week first, then faults of whole weeks."""
    listed = list(weeks)
    cells = [cell for week in listed for cell, _ in week.cells if cell.state in WRONG]
    anomalies = list(_against(listed))
    told = {cell.week_ending for cell in cells} | {anomaly.week_ending for anomaly in anomalies}
    unfinished = dashboard.unfinished(week for week in listed if week.week_ending not in told)
    again = [cell.partition_id for cell in cells if cell.state in AGAIN and cell.partition_id]
    return {
        "wrong": [
            *(_of_run(request, one) for one in stopped()),
            *(_of_cell(request, cell) for cell in cells),
            *(_of_week(request, one) for one in anomalies),
            *(_of_verdict(request, one, why) for one, why in unfinished),
        ],
        "again": again if len(again) > 1 and may(request, Act.REINGEST) else [],
        "again_url": reverse("admin:pipeline_partition_changelist"),
        "selected_name": ACTION_CHECKBOX_NAME,
        "token": new_token(),
    }


def _of_run(request: HttpRequest, one: Stopped) -> Wrong:
    said = (f"run {one.run.pk}", page_url(one.run), badge(RunStatus.INTERRUPTED), one.what)
    act = Act.CANCEL_RUN if one.hindrance else Act.RESUME_RUN
    if not may(request, act):
        return Wrong(*said)
    act_url = reverse(f"admin:pipeline_run_{act.lower()}", args=[one.run.pk])
    return Wrong(*said, act.label, act_url, posts=act is Act.RESUME_RUN)


def _of_cell(request: HttpRequest, cell: Cell) -> Wrong:
    where = f"{cell.week_ending} {cell.tier}"
    url = reverse("admin:pipeline_partition_change", args=[cell.partition_id]) if cell.partition_id else ""
    said = (where, url, badge(cell.state), cell.detail)
    if cell.state is CellState.BLOCKED and cell.anomaly:
        return Wrong(*said, *_resolving(request, cell.anomaly))
    act = Act.RENORMALIZE if cell.state is CellState.ARCHIVED else Act.REINGEST
    if cell.partition_id and cell.state in (*AGAIN, CellState.ARCHIVED, CellState.BLOCKED) and may(request, act):
        name = f"admin:pipeline_partition_{act.lower()}"
        return Wrong(*said, Act(act).label, reverse(name, args=[cell.partition_id]), posts=True)
    return Wrong(*said)


def _of_week(request: HttpRequest, anomaly: Anomaly) -> Wrong:
    return Wrong(
        anomaly.place, page_url(anomaly), badge(anomaly.severity), anomaly.message, *_resolving(request, anomaly)
    )


def _of_verdict(request: HttpRequest, verdict: Readiness, why: str) -> Wrong:
    said = (str(verdict.week_ending), page_url(verdict), badge(verdict.state), why)
    if not may(request, Act.RECOMPUTE):
        return Wrong(*said)
    act_url = reverse("admin:pipeline_readiness_recompute", args=[verdict.pk])
    return Wrong(*said, Act.RECOMPUTE.label, act_url, posts=True)


def _resolving(request: HttpRequest, anomaly: Anomaly) -> tuple[str, str]:
    """The button to the page that asks for the note of a resolution."""
    if not may(request, Act.RESOLVE):
        return "", ""
    return Act.RESOLVE.label, reverse("admin:pipeline_anomaly_resolve", args=[anomaly.pk])


def _against(weeks: Iterable[dashboard.Week]) -> Iterable[Anomaly]:
    """Open anomalies of whole weeks."""
    of_weeks = Q(week_ending__in=[week.week_ending for week in weeks]) | Q(week_ending__isnull=True)
    return Anomaly.objects.open().grave().filter(of_weeks, partition__isnull=True).order_by("pk")
