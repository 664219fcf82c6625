"""Charts of the readers' frames: bars and lines over weeks or ages, each with its table beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from pipeline.admin.shared import figures
from pipeline.admin.shared.charts import AXIS, COLOURS, Chart, chart, options_of

MARKS = ("circle", "triangle", "rect", "rectRot", "star")
Said = Callable[[Any], str]


def bars(frame: pl.DataFrame, along: str, series: Sequence[str], title: str, *, said: Said) -> Chart:
    """Stacked bars: a column of the frame for each series."""
    datasets = [
        {"label": name, "data": frame[name].to_list(), "backgroundColor": _colour(at, name), "stack": "all"}
        for at, name in enumerate(series)
    ]
    return chart("bar", _labels(frame[along]), datasets, options_of(title, stacked=True), said)


def lines(
    frame: pl.DataFrame, along: str, series: Sequence[str], title: str, *, said: Said, bands: Sequence[int] = ()
) -> Chart:
    """Lines: a column of the frame for each; a gap is a gap. `bands` are drawn dashed."""
    drawn = [
        {
            "label": name,
            "data": frame[name].to_list(),
            "borderColor": _colour(at, name),
            "backgroundColor": _colour(at, name),
            "pointStyle": MARKS[at % len(MARKS)],
            "pointRadius": 4,
            "borderWidth": 2,
        }
        for at, name in enumerate(series)
    ]
    dashed = [
        {
            "label": f"{at:,}",
            "data": [at] * frame.height,
            "borderColor": AXIS,
            "backgroundColor": AXIS,
            "borderDash": [6, 4],
            "borderWidth": 1,
            "pointRadius": 0,
            "isBand": True,
        }
        for at in bands
    ]
    return chart("line", _labels(frame[along]), [*drawn, *dashed], options_of(title), said)


def by(frame: pl.DataFrame, along: str, name: str, value: pl.Expr) -> pl.DataFrame:
    """A long frame wide: a column for each name, in the order of the names, rows along weeks or ages."""
    named = frame.select(along, pl.col(name).alias("name"), value.alias("value"))
    wide = named.pivot("name", index=along, values="value", aggregate_function="first").sort(along)
    return wide.select(along, *sorted(column for column in wide.columns if column != along))


def whole(value: float | None) -> str:
    """1,235; a dash for none."""
    return figures.NONE if value is None else f"{value:,.0f}"


def tenths(value: float | None) -> str:
    """1,234.5; a dash for none."""
    return figures.NONE if value is None else f"{value:,.1f}"


def hundredths(value: float | None) -> str:
    """A part in percent already, as 12.34 %; a dash for none."""
    return figures.NONE if value is None else f"{value:,.2f} %"


def _labels(values: pl.Series) -> list[str]:
    return [str(value) for value in values.to_list()]


def _colour(at: int, name: str) -> str:
    return COLOURS[-1] if name == "others" else COLOURS[at % (len(COLOURS) - 1)]
