"""Tables of the readers' frames: each column as the dictionary describes it, each value as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from pipeline.admin.shared import figures
from pipeline.readers.fields import Dataset, Field

Record = Mapping[str, Any]
Link = Callable[[Record], str]
SUMMED = {  # of which whole shares are shown: the fraction is on the title, and in the files
    "market",
    "venues",
    "venue_history",
    "venue_symbols",
    "symbol_history",
    "symbol_leaders",
    "symbol_split",
    "restated_symbols",
    "restated_venues",
    "symbol_at_two",
    "venue_revisions",
}
KINDS = {"ATS": "ATS", "NON_ATS": "non-ATS", "ALL": "both"}
UNSIGNED = {"gross_change"}
PERCENT = {
    "share",
    "share_before",
    "share_first_published",
    "share_after",
    "share_of_all",
    "share_of_symbol",
    "ats_ratio_a",
    "ats_ratio_b",
}
POINTS = ("hhi",)
QUANTILES = {"p50", "p90", "p95", "p99", "max", "mean"}  # of a measure that may be a ratio of a millionth
HEADERS = {
    "week_ending": "Week",
    "venue_kind": "Kind",
    "issue_name": "Issue",
    "venue_name": "Name",
    "mpid": "MPID",
    "crd": "CRD",
    "share_change_bp": "Change, bp",
    "shares_per_trading_day": "Shares a day",
    "average_trade_size": "Trade size",
    "ats_average_trade_size": "ATS trade size",
    "share_first_published": "First published",
    "largest_share_move_bp": "Largest move, bp",
    "ats_ratio": "ATS part",
    "shares_a": "Shares at A",
    "shares_b": "Shares at B",
    "ats_ratio_a": "ATS part at A",
    "ats_ratio_b": "ATS part at B",
    "hhi_ats_a": "HHI of ATSs at A",
    "hhi_ats_b": "HHI of ATSs at B",
    "ats_shares": "ATS shares",
    "non_ats_shares": "Non-ATS shares",
    "rank_change": "Places won",
    "hhi_ats": "HHI of ATSs",
    "hhi_low": "HHI, least",
    "hhi_high": "HHI, most",
    "effective_venues_ats": "Effective ATSs",
    "venues_ats": "ATSs",
    "venues_non_ats": "Other firms",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text; `title` says why there is none. `url` leads to what is behind it; `heat` is 1 to 5.

    `short` is what is shown of a figure or a name too long for its column; a `hatched` one has no figure that may be used.
    """

    text: str
    url: str = ""
    title: str = ""
    is_number: bool = False
    heat: int = 0
    short: str = ""
    hatched: bool = False

    @property
    def html(self) -> SafeString:
        """The cell of a table. Made here: a page has a thousand, and a template takes six times as long over each."""
        kind = ("ms-number" if self.is_number else "mk-text") + (f" mk-heat-{self.heat}" if self.heat else "")
        kind += " mk-hatched" if self.hatched else ""
        text, title = escape(self.short or self.text), escape(self.title or self.text)
        shown = f'<a class="ms-link" href="{escape(self.url)}">{text}</a>' if self.url else text
        return mark_safe(f'<td class="{kind}" title="{title}">{shown}</td>')  # noqa: S308 # each part is escaped


@dataclass(frozen=True, slots=True)
class Entry:
    """What the dictionary says of a field: what a `?` opens."""

    dataset: Dataset
    field: Field

    @property
    def anchor(self) -> str:
        """Its id on a page."""
        return f"{self.dataset.name}-{self.field.name}"

    @property
    def words(self) -> str:
        """Its name as a person reads it."""
        return HEADERS.get(self.field.name) or self.field.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Header:
    """A column's name, what it means, and the entry that its `?` opens, of a measure."""

    text: str
    meaning: str
    is_number: bool
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and lines; `more` says how many rows of the answer are not shown, `nulls` what a dash means in a column."""

    headers: list[Header]
    lines: list[list[Cell]]
    more: int = 0
    nulls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a dataset are shown, and where the values of some lead."""

    dataset: Dataset
    names: Sequence[str]
    links: Mapping[str, Link] = field(default_factory=dict)

    def table(self, frame: pl.DataFrame, most: int) -> Table:
        """The first rows of a frame."""
        shown, head = entries(self.dataset, *self.names), frame.head(most)
        lines = [[self._cell(one.field, record) for one in shown] for record in head.iter_rows(named=True)]
        lacking = tuple((one.words, one.field.null) for one in shown if head[one.field.name].null_count())
        return Table([_header(one) for one in shown], lines, max(0, frame.height - most), lacking)

    def _cell(self, one: Field, record: Record) -> Cell:
        value = record[one.name]
        if value is None:
            return Cell(figures.NONE, title=f"none: {one.null}" if one.null else "", is_number=_is_number(one))
        text, link = said(one.name, value), self.links.get(one.name)
        short = brief(one.name, value) if self.dataset.name in SUMMED and "." in text else text
        short = "" if short == text else short
        return Cell(text, link(record) if link and text else "", short and text, _is_number(one), short=short)


def entries(dataset: Dataset, *names: str) -> tuple[Entry, ...]:
    """The dictionary's entries of some fields of a dataset."""
    fields = {one.name: one for one in dataset.fields}
    return tuple(Entry(dataset, fields[name]) for name in names)


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
    if name.endswith("_change") and name not in UNSIGNED and isinstance(value, (int, Decimal)):
        return figures.signed(value)
    if name == "venue_kind":
        return KINDS[value]
    return figures.number(value) if isinstance(value, (int, Decimal)) else str(value)


def brief(name: str, value: Any) -> str:
    """The same in short: of sums of shares the whole ones. A dash for none."""
    if value is None:
        return figures.NONE
    if isinstance(value, Decimal):
        return f"{value:+,.0f}" if name.endswith("_change") and value else f"{value:,.0f}"
    return said(name, value)


def _real(name: str, value: float) -> str:
    if name in PERCENT or name.endswith("_ratio"):
        return figures.percent(value)
    if name in QUANTILES:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if name.startswith(POINTS):
        return figures.points(value, value)
    if name == "shares_per_trading_day":
        return f"{value:,.0f}"
    return f"{value:+,.1f}" if name.endswith(("_bp", "_change")) else f"{value:,.1f}"


def _header(one: Entry) -> Header:
    meaning = f"{one.field.meaning}{f', in {one.field.unit}' if one.field.unit else ''}"
    is_measure = _is_number(one.field) or one.field.type == pl.Boolean
    return Header(one.words, meaning, _is_number(one.field), one if is_measure else None)


def _is_number(one: Field) -> bool:
    return one.type.is_numeric()
