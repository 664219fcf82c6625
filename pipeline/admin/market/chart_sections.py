"""Sections with a chart: the half-width ones of the market, symbol and venue pages, and those that several pages have."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.admin.market.frame import Download, Section
from pipeline.admin.market.series import Ribbon, lines, tenths
from pipeline.admin.market.tables import entries
from pipeline.admin.shared.charts import HIGH, MODERATE, Chart
from pipeline.readers.fields import Dataset

BANDS = (("moderate", MODERATE), ("high", HIGH))


def chart_section(
    title: str, lead: str, chart: Chart, dataset: Dataset, field: str, ways: tuple[Download, ...] = ()
) -> Section:
    """A half-width section, whose chart shows a field of a dataset."""
    return Section(title, lead, chart, downloads=ways, entries=entries(dataset, field), narrow=True)


def concentration(points: pl.DataFrame, names: Sequence[str], dataset: Dataset, field: str) -> Section:
    """HHI by week in points: a line for each name, and the non-ATS interval from the columns `low` and `high`."""
    ribbon = Ribbon("non-ATS", "low", "high")
    return chart_section(
        "Concentration",
        "HHI in points. The ribbon is the non-ATS one, the pool of small firms taken as many and as one",
        lines(points, "week_ending", names, "HHI, points", said=tenths, bands=BANDS, ribbon=ribbon),
        dataset,
        field,
    )


def trade_size(sizes: pl.DataFrame, dataset: Dataset) -> Section:
    """The average shares of a trade by week: a line for each column."""
    drawn = lines(sizes, "week_ending", sizes.columns[1:], "shares a trade", said=tenths)
    return chart_section("Trade size", "Average shares of a trade", drawn, dataset, "average_trade_size")
