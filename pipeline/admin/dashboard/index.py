"""The first page: alarms, four figures, the grid of weeks and tiers, charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from pipeline.admin.anomalies.what_is_wrong import what_is_wrong
from pipeline.admin.shared import charts, figures, market_links
from pipeline.admin.shared.acting import may
from pipeline.admin.shared.base import LOOKS, UNKNOWN, page_url
from pipeline.finra.calendar import Tier
from pipeline.models import Act, Readiness, Run, Use
from pipeline.review import alarms, trends
from pipeline.review import dashboard as ledger_dashboard
from pipeline.review.dashboard import CellLabel
from pipeline.review.grid import Cell
from pipeline.runs.request import Only

SAID = {
    CellLabel.READY: "captured",
    CellLabel.RESTATED: "restated in the last 7 days",
    CellLabel.FORCED: "captured again by force, the same content",
    CellLabel.UNCHANGED: "unchanged at the last look",
    CellLabel.NOT_OFFERED: "captured, and not in the source any more",
    CellLabel.ARCHIVED: "archived, rows not stored",
    CellLabel.NOT_YET_DUE: "not yet due",
    CellLabel.MISSING: "due, never captured",
    CellLabel.LATE: "late: due, and not published",
    CellLabel.FAILED: "last try failed",
    CellLabel.REFUSED: "last try refused",
    CellLabel.BLOCKED: "captured, and something stands against it",
    CellLabel.DAMAGED: "its payload is lost",
}


@dataclass(frozen=True, slots=True)
class Square:
    """A cell of the grid as it is drawn. `url` is empty where there is no page yet."""

    tone: str
    icon: str
    word: str
    detail: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the grid as it is drawn."""

    week: str
    url: str
    squares: list[Square]
    verdicts: list[Square]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin's index; without contents for users who may not view evidence."""
    if not request.user.has_perm("pipeline.view_partition"):
        return context
    weeks = ledger_dashboard.weeks()
    now = timezone.now()
    four = ledger_dashboard.figures(weeks)
    context.update(
        title="Dashboard",
        tiers=list(Tier),
        uses=list(Use.values),
        lines=[_line(week, now, may_backfill=may(request, Act.BACKFILL)) for week in weeks],
        missing_url=_missing_url(weeks) if may(request, Act.BACKFILL) else "",
        legend=[(*LOOKS.get(status, UNKNOWN), SAID[status]) for status in CellLabel],
        four=four,
        last_run=_last_run(four.last_run, now),
        alarms=[
            (alarm, reverse("admin:pipeline_run_change", args=[alarm.run_id]) if alarm.run_id else "")
            for alarm in alarms.raised()
        ],
        charts=_charts(),
        may_backfill=may(request, Act.BACKFILL),
        is_empty=four.last_run is None,
        **({} if four.last_run is None else what_is_wrong(request, weeks)),
    )
    return context


def _line(week: ledger_dashboard.Week, now: datetime, *, may_backfill: bool) -> Line:
    return Line(
        week.week_ending.isoformat(),
        market_links.of_market(week.week_ending),
        [_square(cell, status, now, may_backfill=may_backfill) for cell, status in week.cells],
        [_verdict(use, verdict) for use, verdict in week.verdicts.items()],
    )


def _square(cell: Cell, status: CellLabel, now: datetime, *, may_backfill: bool) -> Square:
    """A cell leads to its partition; one that no run has planned yet, to the plan that captures it."""
    tone, icon = LOOKS.get(status, UNKNOWN)
    url = reverse("admin:pipeline_partition_change", args=[cell.partition_id]) if cell.partition_id else ""
    if not url and status is CellLabel.MISSING and may_backfill:
        url = _plan_url(cell.week_ending, cell.week_ending, [cell.tier])
    title = [f"{cell.week_ending} {cell.tier}: {SAID[status]}"]
    if cell.newest and cell.captured_at:
        title.append(f"{cell.newest.capture_id}, version {cell.version}, captured {figures.ago(cell.captured_at, now)}")
    if cell.detail:
        title.append(cell.detail)
    return Square(tone, icon, _word(cell, status), _detail(cell, status, now), "\n".join(title), url)


def _missing_url(weeks: Iterable[ledger_dashboard.Week]) -> str:
    """The address of the plan that captures all due partitions never captured; empty without any."""
    missing = [
        cell
        for week in weeks
        for cell, status in week.cells
        if cell.newest is None and status is not CellLabel.NOT_YET_DUE
    ]
    ending = [cell.week_ending for cell in missing]
    return _plan_url(min(ending), max(ending), list(Tier), Only.MISSING) if missing else ""


def _plan_url(first: date, last: date, tiers: Sequence[str], only: Only = Only.ALL) -> str:
    """The backfill form with the plan of a range shown; nothing is started by it."""
    asked = {"first": first, "last": last, "tiers": tiers, "only": only.value, "reason": ""}
    return f"{reverse('admin:pipeline_backfill')}?{urlencode(asked, doseq=True)}"


def _word(cell: Cell, status: CellLabel) -> str:
    if status is CellLabel.NOT_YET_DUE:
        return f"due {cell.due:%m-%d}"
    return "captured" if status is CellLabel.READY else status.replace("_", " ").lower()


def _detail(cell: Cell, status: CellLabel, now: datetime) -> str:
    if cell.captured_at is None:
        return f"due {cell.due:%m-%d}" if status is not CellLabel.NOT_YET_DUE else ""
    return f"v{cell.version}, {figures.ago(cell.captured_at, now)}"


def _verdict(use: str, verdict: Readiness | None) -> Square:
    if verdict is None:
        return Square("calm", "remove", "-", "", f"not judged for {use} yet", "")
    tone, icon = LOOKS.get(verdict.state, UNKNOWN)
    words = {"AWAITING_PUBLICATION": "awaiting"}
    word = words.get(verdict.state, verdict.state.lower())
    title = "\n".join([f"{verdict.week_ending} for {use}: {verdict.get_state_display()}", *verdict.reasons])
    return Square(tone, icon, word, "", title, page_url(verdict))


def _last_run(run: Run | None, now: datetime) -> dict[str, Any] | None:
    if run is None:
        return None
    tone, icon = LOOKS.get(run.status, UNKNOWN)
    return {
        "run": run,
        "url": page_url(run),
        "tone": tone,
        "icon": icon,
        "word": run.status.lower(),
        "took": figures.between(run.created_at, run.finished_at or now),
        "when": figures.ago(run.created_at, now),
        "by": run.requested_by or run.get_trigger_display(),
    }


def _charts() -> Iterable[tuple[str, str, charts.Chart | None]]:
    """Each chart's title, what it shows, and the chart; None where there is nothing to draw yet."""
    weeks = trends.last_weeks()
    snapshots = trends.newest_snapshots(weeks)
    shares, hhi = trends.venue_shares(weeks, snapshots), trends.concentrations(weeks, snapshots)
    rows, times = trends.rows_held(weeks), trends.run_times()
    return (
        ("Venue share", "The ten largest ATS, all tiers", None if shares.is_empty else charts.shares(shares)),
        ("Market concentration", "HHI of ATS volume, by tier", None if hhi.is_empty else charts.concentration(hhi)),
        (
            "Rows and restatements",
            "Held of each week, and restated since",
            None if rows.is_empty else charts.rows(rows),
        ),
        ("Run durations", "The last 30 runs", charts.run_times(times) if times else None),
    )
