"""Charts of the readers' frames: bars, lines and ribbons over weeks or ages, each with its table beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from pipeline.admin.shared import figures
from pipeline.admin.shared.charts import AXIS, COLOURS, FEW, PERCENT, Chart, chart, options_of

MARKS = ("circle", "triangle", "rect", "rectRot", "star")
OTHERS = "others"
STACKED = {"stack": "all", "maxBarThickness": 48}
Said = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Ribbon:
    """An interval by its two ends, columns of the frame, drawn as an area between them."""

    name: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of values: its title, whether it begins at the top (ranks), and whether it is a part of a whole."""

    title: str
    reverse: bool = False
    of_whole: bool = False


def bars(
    frame: pl.DataFrame,
    along: str,
    series: Sequence[str],
    title: str | Axis,
    *,
    said: Said,
    urls: Mapping[str, str] | None = None,
) -> Chart:
    """Stacked bars: a column of the frame for each series."""
    axis = title if isinstance(title, Axis) else Axis(title)
    datasets = [
        {"label": name, "data": frame[name].to_list(), "backgroundColor": _colour(at, name), **STACKED}
        for at, name in enumerate(series)
    ]
    return chart("bar", _along(frame[along]), datasets, _options(axis, stacked=True), said, urls)


def lines(
    frame: pl.DataFrame,
    along: str,
    series: Sequence[str],
    title: str | Axis,
    *,
    said: Said,
    bands: Sequence[tuple[str, int]] = (),
    ribbon: Ribbon | None = None,
    stepped: bool = False,
) -> Chart:
    """Lines: a column of the frame for each; a gap is a gap. `bands` are dashed, with names; `stepped` lines are stairs."""
    axis = title if isinstance(title, Axis) else Axis(title)
    drawn = [{**_line(frame, at, name), "stepped": stepped} for at, name in enumerate(series)]
    area = _area(frame, ribbon, COLOURS[len(series)]) if ribbon else []
    dashed = [_band(frame, name, at) for name, at in bands]
    return chart("line", _along(frame[along]), [*drawn, *area, *dashed], _options(axis), said)


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


def _line(frame: pl.DataFrame, at: int, name: str) -> dict[str, Any]:
    return {
        "label": name,
        "data": frame[name].to_list(),
        "borderColor": _colour(at, name),
        "backgroundColor": _colour(at, name),
        "pointStyle": MARKS[at % len(MARKS)],
        "pointRadius": 4 if frame.height <= FEW else 0,
        "borderWidth": 2,
        "clip": 8,
    }


def _area(frame: pl.DataFrame, ribbon: Ribbon, colour: str) -> list[dict[str, Any]]:
    """Both ends of an interval, and what is between them."""
    edge = {"borderColor": colour, "backgroundColor": colour + "44", "borderWidth": 1, "pointRadius": 0}
    low = {**edge, "label": f"{ribbon.name}, least", "data": frame[ribbon.low].to_list()}
    high = {**edge, "label": f"{ribbon.name}, most", "data": frame[ribbon.high].to_list(), "fill": "-1"}
    return [low, high]


def _band(frame: pl.DataFrame, name: str, at: int) -> dict[str, Any]:
    return {
        "label": f"{name} above {at:,}",
        "data": [at] * frame.height,
        "borderColor": AXIS,
        "backgroundColor": AXIS,
        "borderDash": [6, 4],
        "borderWidth": 1,
        "pointRadius": 0,
        "isBand": True,
    }


def _options(axis: Axis, *, stacked: bool = False) -> dict[str, Any]:
    """The options of all charts, with short figures on the axis and labels that never lie aslant."""
    options = options_of(axis.title, stacked=stacked, highest=PERCENT if axis.of_whole else None)
    x, y = options["scales"]["x"], options["scales"]["y"]
    x["ticks"] = {**x["ticks"], "maxRotation": 0, "autoSkipPadding": 12}
    y["ticks"] = {**y["ticks"], "format": {"notation": "compact", "maximumSignificantDigits": 3}}
    if axis.reverse:
        y["ticks"]["precision"] = 0
        options["scales"]["y"] = {**y, "reverse": True, "beginAtZero": False, "min": 1, "suggestedMax": 4}
    return options


def _along(values: pl.Series) -> list[date | str]:
    """The labels along an axis: weeks as they are, since they have links."""
    return [value if isinstance(value, date) else f"{value}" for value in values.to_list()]


def _colour(at: int, name: str) -> str:
    return COLOURS[-1] if name == OTHERS else COLOURS[at % (len(COLOURS) - 1)]
