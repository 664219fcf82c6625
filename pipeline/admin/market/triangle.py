"""The revision triangle as a table: partitions down, ages across; a figure, or a word for what is not known."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipeline.admin.market.tables import Cell, Header, Table
from pipeline.admin.shared import figures, market_links
from pipeline.readers.revisions import State

STEPS = (0.0, 0.0001, 0.001, 0.01, 0.1)  # a ratio above each makes a cell one step warmer; other measures by their size
SAID = {
    State.NOT_VERIFIED: "no check succeeded at that age or later",
    State.UNCERTAIN: "it changed between two checks around that age",
    State.TOO_YOUNG: "the partition is not of that age yet",
    State.LATE_FIRST_CAPTURE: "its first publication may have been missed",
    State.EXCLUDED: "our own doing is in it",
}
Key = tuple[date, str]


def triangle_table(frame: pl.DataFrame, most: int) -> Table:
    """The newest weeks first; `frame` is that of `revision_triangle`."""
    ordered = frame.sort("week_ending", "tier", descending=[True, False])
    ages = sorted(frame["age_days"].unique().to_list())
    lines: dict[Key, dict[int, Cell]] = {}
    for record in ordered.iter_rows(named=True):
        line = lines.setdefault((record["week_ending"], record["tier"]), {})
        line[record["age_days"]] = _cell(record["value"], State(record["state"]))
    heads = [Header("Week", "", is_number=False), Header("Tier", "", is_number=False)]
    heads += [Header(f"{age} d", f"{age} days after the due date", is_number=True) for age in ages]
    shown = [[*_named(key), *(of.get(age, Cell("")) for age in ages)] for key, of in list(lines.items())[:most]]
    return Table(heads, shown, max(0, len(lines) - most))


def _named(key: Key) -> list[Cell]:
    return [Cell(f"{key[0]}", market_links.of_market(key[0])), Cell(key[1])]


def _cell(value: float | None, state: State) -> Cell:
    if value is None:
        return Cell(state.replace("_", " ").lower(), title=SAID.get(state, ""), is_number=True, hatched=True)
    return Cell(said_value(value), is_number=True, heat=sum(abs(value) > step for step in STEPS))


def said_value(value: float | None) -> str:
    """A measure to six places; a dash for none."""
    return figures.NONE if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
