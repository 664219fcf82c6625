"""Panels, their queries and links, and how Grafana has them drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 24  # of Grafana's grid
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'job=~"$job", namespace=~"$namespace"'
TIER, USE = 'tier=~"$tier"', 'use=~"$use"'
GRAVE, CRITICAL = 'severity=~"ERROR|CRITICAL"', 'severity="CRITICAL"'
FAILED_REQUEST, THROTTLED = 'outcome!~"ok|no_data"', 'outcome="throttled"'
FAILED_RUN, RESTATED = 'status="FAILED"', 'kind="RESTATEMENT"'
ADMIN, DOCS = "${admin_url}", "${docs_url}"
GREEN, ORANGE, RED = "green", "orange", "red"
Steps = tuple[tuple[float | None, str], ...]
AGE_DAYS: Steps = ((None, GREEN), (2 * 86400, ORANGE), (4.5 * 86400, RED))
ANY_IS_BAD: Steps = ((None, GREEN), (1, RED))
ANY_IS_ODD: Steps = ((None, GREEN), (1, ORANGE))


@dataclass(frozen=True)
class Panel:
    """One panel: its question in `title` and `about`, its queries as (expression, legend), where to look further."""

    title: str
    about: str
    unit: str
    queries: Sequence[tuple[str, str]]
    link: tuple[str, str]
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    steps: Steps = ((None, GREEN),)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of panels."""

    title: str
    panels: Sequence[Panel]
    is_closed: bool = False


def top(metric: str, *by: str, where: str = "") -> str:
    """The figure, by labels, over the processes that tell it."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"max{grouped} (marketspine_{metric}{{{OF}{', ' if where else ''}{where}}})"


def age(metric: str, *by: str, where: str = "") -> str:
    """How long ago an instant was, in seconds."""
    return f"time() - {top(metric, *by, where=where)}"


def gone_up(metric: str, *by: str, over: str = "$__rate_interval", where: str = "") -> str:
    """By how much a counter has grown; each process tells the same counter."""
    labels = ", ".join(by)
    return f"max by ({labels}) (increase(marketspine_{metric}_total{{{OF}{', ' if where else ''}{where}}}[{over}]))"


def admin(page: str, title: str) -> tuple[str, str]:
    """A link to a page of the admin."""
    return title, f"{ADMIN}/admin/{page}"


def runbook(alert: str) -> tuple[str, str]:
    """A link to the section of an alert."""
    return f"Runbook: {alert}", f"{DOCS}/runbooks.md#marketspine{alert.lower()}"


def stat(title: str, about: str, unit: str, query: str, link: tuple[str, str], steps: Steps, **more: Any) -> Panel:
    """One figure."""
    return Panel(title, about, unit, [(query, "")], link, "stat", width=4, height=4, steps=steps, **more)


def link(title: str, url: str) -> dict[str, Any]:
    """A link that opens beside the dashboard."""
    return {"title": title, "url": url, "type": "link", "targetBlank": True}


def placed(row: Row, number: int, top_of_row: int) -> tuple[list[dict[str, Any]], int]:
    """The panels of a row from left to right, line by line; and where the next row begins."""
    drawn: list[dict[str, Any]] = []
    left, height = 0, 0
    for panel in row.panels:
        if left + panel.width > WIDTH:
            left, top_of_row, height = 0, top_of_row + height, 0
        drawn.append(
            {"id": number + len(drawn), "gridPos": at(left, top_of_row, panel.width, panel.height), **_drawn(panel)}
        )
        left, height = left + panel.width, max(height, panel.height)
    return drawn, top_of_row + height


def at(left: int, top_of_panel: int, width: int, height: int) -> dict[str, int]:
    """A place on the grid."""
    return {"x": left, "y": top_of_panel, "w": width, "h": height}


def _drawn(panel: Panel) -> dict[str, Any]:
    stacked = {"stacking": {"mode": "normal"}, "fillOpacity": 40} if panel.options.get("stack") else {"fillOpacity": 5}
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "links": [link(*panel.link)],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                "range": True,
            }
            for n, (query, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": stacked if panel.kind == "timeseries" else {},
            },
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}}
        if panel.kind == "stat"
        else {"tooltip": {"mode": "multi"}},
    }
