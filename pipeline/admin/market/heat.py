"""A table of weeks and names whose cells carry their figure as text, and how large it is as a colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from pipeline.admin.market.tables import Cell, Header, Record, Table
from pipeline.admin.shared import figures

STEPS = (0.0, 0.05, 0.1, 0.2, 0.4)  # a share above each makes a cell one step warmer


def heat_table(frame: pl.DataFrame, name: str, link: Callable[[Record], str], weeks: int, most: int) -> Table:
    """The shares (0-1) of names by week, the newest week first; `frame` has week_ending, share and the column `name`.

    Those with the largest share in the newest weeks come first. A cell without a row has a dash.
    """
    shown = sorted(frame["week_ending"].unique().to_list(), reverse=True)[:weeks]
    newest_first = frame.sort("week_ending", "share", descending=True)
    lines: dict[str, list[Cell]] = {}
    cells = {(record[name], record["week_ending"]): record["share"] for record in frame.iter_rows(named=True)}
    for record in newest_first.iter_rows(named=True):
        words = record[name]
        if words not in lines and record["week_ending"] in shown:
            lines[words] = [Cell(words, link(record)), *(_cell(cells.get((words, week))) for week in shown)]
    heads = [Header("Venue", "", is_number=False)]
    heads += [Header(week.isoformat()[5:], f"week ending {week}", is_number=True) for week in shown]
    return Table(heads, list(lines.values())[:most], max(0, len(lines) - most))


def _cell(share: float | None) -> Cell:
    if share is None:
        return Cell(figures.NONE, title="no row in this week", is_number=True)
    return Cell(f"{share * 100:.1f} %", is_number=True, heat=_warmth(share, STEPS))


def _warmth(share: float, steps: Sequence[float]) -> int:
    return sum(share > step for step in steps)
