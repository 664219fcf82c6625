"""Charts: a series as Chart.js reads it, and as a table for people who cannot see it. They need no script of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from django.urls import reverse

from pipeline.admin.shared import market_links
from pipeline.review.trends import RunTime, Series

# Ten hues that stay apart for most colour-blind readers, light enough for the dark theme; then grey for the rest.
COLOURS = (
    "#1f6fb2", "#e08a1e", "#2a9d6f", "#c0504d", "#7b62b0", "#8c6d4f", "#d16ba5", "#5b9aa0", "#b3a125", "#4c5fd5", "#9aa4b2",
)  # fmt: skip
STATUS_COLOURS = {"SUCCEEDED": "#2a9d6f", "FAILED": "#c0504d", "INTERRUPTED": "#e08a1e"}
AXIS = "#8592a3"
MODERATE, HIGH = 1000, 1800  # the antitrust bands of HHI, U.S. merger guidelines of 2023
PERCENT = 100
FEW = 27  # weeks up to which each is marked, and the year goes without saying


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's type, its data and options as JSON, and its table: a row per point.

    `urls` are the addresses of headers and of labels of rows, by their texts.
    """

    kind: str
    value: str
    options: str
    headers: list[str]
    rows: list[list[str]]
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def heads(self) -> list[tuple[str, str]]:
        """The headers of the table, each with its address or none."""
        return [(text, self.urls.get(text, "")) for text in self.headers]

    @property
    def lines(self) -> list[tuple[str, str, list[str]]]:
        """The rows of the table: the label, its address or none, the values."""
        return [(label, self.urls.get(label, ""), values) for label, *values in self.rows]


def chart(
    kind: str,
    labels: Sequence[date | str],
    datasets: list[dict[str, Any]],
    options: dict[str, Any],
    shown: Callable[[Any], str],
    urls: Mapping[str, str] | None = None,
) -> Chart:
    """A chart of datasets over labels, with its table. A dataset with `isBand` is drawn, and is not in the table.

    A label that is a week leads to the market that week; `urls` has the addresses of other labels and of datasets.
    """
    told = [one for one in datasets if not one.get("isBand")]
    rows = [[f"{label}", *(shown(one["data"][i]) for one in told)] for i, label in enumerate(labels)]
    weeks = {f"{label}": market_links.of_market(label) for label in labels if isinstance(label, date)}
    short = [f"{label:%m-%d}" if isinstance(label, date) and len(labels) <= FEW else f"{label}" for label in labels]
    value = json.dumps({"labels": short, "datasets": datasets})
    headers = ["Week" if weeks else "", *(str(one["label"]) for one in told)]
    return Chart(kind, value, json.dumps(options), headers, rows, {**weeks, **(urls or {})})


def options_of(
    title: str, *, stacked: bool = False, highest: float | None = None, legend: bool = True
) -> dict[str, Any]:
    """The options that all charts share: colours that both themes show, no motion, a titled axis."""
    scale = {"stacked": stacked, "ticks": {"color": AXIS}, "grid": {"color": AXIS + "33"}}
    return {
        "responsive": True,
        "maintainAspectRatio": False,
        "animation": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {
            "legend": {
                "display": legend,
                "position": "bottom",
                "labels": {"color": AXIS, "boxWidth": 10, "boxHeight": 10},
            }
        },
        "scales": {
            "x": {**scale, "grid": {"display": False}},
            "y": {
                **scale,
                "beginAtZero": True,
                "title": {"display": True, "text": title, "color": AXIS},
                **({"max": highest} if highest else {}),
            },
        },
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else round(value * PERCENT, 3)


def shares(series: Series) -> Chart:
    """Venue share by week, stacked to 100 %."""
    datasets = [
        {
            "label": name,
            "data": [_percent(value) for value in values],
            "backgroundColor": COLOURS[-1] if name == "others" else COLOURS[i],
            "stack": "all",
        }
        for i, (name, values) in enumerate(series.values.items())
    ]
    options = options_of("% of ATS shares", stacked=True, highest=PERCENT)
    urls = {name: market_links.of_venue(name) for name in series.values if name != "others"}
    return chart("bar", series.weeks, datasets, options, lambda value: "-" if value is None else f"{value:.2f} %", urls)


def concentration(series: Series) -> Chart:
    """HHI by tier and week, with the two bands as dashed lines."""
    lines = [
        {
            "label": name,
            "data": [None if value is None else round(value, 1) for value in values],
            "borderColor": COLOURS[i],
            "backgroundColor": COLOURS[i],
            "pointStyle": ("circle", "triangle", "rect")[i % 3],
            "pointRadius": 4,
            "borderWidth": 2,
            "spanGaps": True,
        }
        for i, (name, values) in enumerate(series.values.items())
    ]
    bands = [
        {
            "label": label,
            "data": [at] * len(series.weeks),
            "borderColor": AXIS,
            "backgroundColor": AXIS,
            "borderDash": [6, 4],
            "borderWidth": 1,
            "pointRadius": 0,
            "isBand": True,
        }
        for label, at in ((f"{MODERATE:,}: moderate from here", MODERATE), (f"{HIGH:,}: high from here", HIGH))
    ]
    shown: Callable[[Any], str] = lambda value: "-" if value is None else f"{value:,.1f}"  # noqa: E731
    return chart("line", series.weeks, [*lines, *bands], options_of("HHI, points"), shown)


def rows(series: Series) -> Chart:
    """Rows held by week, and rows that restatements touched, on an axis of their own."""
    held, restated = series.values.values()
    datasets: list[dict[str, Any]] = [
        {"label": "rows held", "data": held, "backgroundColor": COLOURS[0], "yAxisID": "y"},
        {
            "label": "rows restated (right axis)",
            "data": restated,
            "type": "line",
            "order": -1,
            "borderColor": COLOURS[1],
            "backgroundColor": COLOURS[1],
            "yAxisID": "right",
        },
    ]
    options = options_of("rows held")
    right = {
        "position": "right",
        "beginAtZero": True,
        "ticks": {"color": AXIS, "precision": 0},
        "grid": {"display": False},
    }
    options["scales"]["right"] = {**right, "title": {"display": True, "text": "rows restated", "color": AXIS}}
    return chart("bar", series.weeks, datasets, options, lambda value: "-" if value is None else f"{value:,}")


def run_times(times: Sequence[RunTime]) -> Chart:
    """How long the last runs took, in seconds; the colour says how each ended, and so does the table."""
    datasets = [
        {
            "label": "seconds",
            "data": [round(time.seconds, 1) for time in times],
            "maxBarThickness": 40,
            "backgroundColor": [STATUS_COLOURS.get(time.status, AXIS) for time in times],
        }
    ]
    urls = {f"run {time.run_id}": reverse("admin:pipeline_run_change", args=[time.run_id]) for time in times}
    drawn = chart("bar", list(urls), datasets, options_of("seconds", legend=False), lambda value: f"{value:,.1f}", urls)
    told = [[*row, time.status.lower()] for row, time in zip(drawn.rows, times, strict=True)]
    return replace(drawn, headers=[*drawn.headers, "ended"], rows=told)
