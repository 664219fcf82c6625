"""Tables of the readers' frames: each column as the dictionary describes it, each value as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from pipeline.admin.shared import figures
from pipeline.readers.fields import Dataset, Field

Record = Mapping[str, Any]
Link = Callable[[Record], str]
PERCENT = {"share", "share_before", "share_first_published", "share_of_all"}
POINTS = ("hhi",)
HEADERS = {
    "week_ending": "Week",
    "venue_kind": "Kind",
    "mpid": "MPID",
    "crd": "CRD",
    "share_change_bp": "Change, bp",
    "largest_share_move_bp": "Largest move, bp",
    "ats_ratio": "ATS part",
    "rank_change": "Places won",
    "hhi_ats": "HHI of ATSs",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown; `title` says why there is none. `url` leads to what is behind it."""

    text: str
    url: str = ""
    title: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A column's name, and what it means."""

    text: str
    meaning: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and lines; `more` says how many rows of the answer are not shown."""

    headers: list[Header]
    lines: list[list[Cell]]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a dataset are shown, and where the values of some lead."""

    dataset: Dataset
    names: Sequence[str]
    links: Mapping[str, Link] = field(default_factory=dict)

    def table(self, frame: pl.DataFrame, most: int) -> Table:
        """The first rows of a frame."""
        fields = {one.name: one for one in self.dataset.fields}
        shown = [fields[name] for name in self.names]
        lines = [[self._cell(one, record) for one in shown] for record in frame.head(most).iter_rows(named=True)]
        return Table([_header(one) for one in shown], lines, max(0, frame.height - most))

    def _cell(self, one: Field, record: Record) -> Cell:
        value = record[one.name]
        if value is None:
            return Cell(figures.NONE, title=f"none: {one.null}" if one.null else "", is_number=_is_number(one))
        text, link = said(one.name, value), self.links.get(one.name)
        return Cell(text, link(record) if link and text else "", "", _is_number(one))


def said(name: str, value: Any) -> str:
    """A value of a field as a person reads it: shares of 0-1 as percent, HHI in points, changes with their sign."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return _real(name, value)
    if name.endswith("_change") and isinstance(value, int):
        return figures.signed(value)
    return figures.number(value) if isinstance(value, (int, Decimal)) else str(value)


def _real(name: str, value: float) -> str:
    if name in PERCENT or name.endswith("_ratio"):
        return figures.percent(value)
    if name.startswith(POINTS):
        return figures.points(value, value)
    return f"{value:+,.1f}" if name.endswith(("_bp", "_change")) else f"{value:,.1f}"


def _header(one: Field) -> Header:
    words = HEADERS.get(one.name) or one.name.replace("_", " ").capitalize()
    return Header(words, f"{one.meaning}{f', in {one.unit}' if one.unit else ''}", _is_number(one))


def _is_number(one: Field) -> bool:
    return one.type.is_numeric()
