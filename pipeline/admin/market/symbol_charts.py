"""The charts of a symbol's page: volume by kind, concentration, effective venues, size of trades."""

from __future__ import annotations

import polars as pl

from pipeline.admin.market.chart_sections import chart_section, concentration, trade_size
from pipeline.admin.market.frame import Section
from pipeline.admin.market.series import bars, lines, tenths, whole
from pipeline.models import HHI_POINTS
from pipeline.readers import DATASETS

HISTORY = DATASETS["symbol_history"]


def charts(history: pl.DataFrame) -> list[Section]:
    """Four charts over the weeks."""
    return [_volume(history), _concentration(history), _effective(history), _size(history)]


def _volume(history: pl.DataFrame) -> Section:
    shares = history.select(
        "week_ending",
        pl.col("ats_shares").cast(pl.Float64).alias("ATS"),
        pl.col("non_ats_shares").cast(pl.Float64).alias("non-ATS"),
    )
    return chart_section(
        "Volume",
        "Off exchange, by week. Shares are not adjusted for splits",
        bars(shares, "week_ending", ["ATS", "non-ATS"], "shares", said=whole),
        HISTORY,
        "ats_shares",
    )


def _concentration(history: pl.DataFrame) -> Section:
    points = history.select(
        "week_ending",
        (pl.col("hhi_ats") * HHI_POINTS).alias("ATS"),
        (pl.col("hhi_non_ats_low") * HHI_POINTS).alias("low"),
        (pl.col("hhi_non_ats_high") * HHI_POINTS).alias("high"),
    )
    return concentration(points, ["ATS"], HISTORY, "hhi_ats")


def _effective(history: pl.DataFrame) -> Section:
    venues = history.select("week_ending", effective="effective_venues_ats", traded="venues_ats")
    return chart_section(
        "Effective venues",
        "How many ATSs of equal size would be as concentrated, beside how many traded it",
        lines(venues, "week_ending", ["effective", "traded"], "ATSs", said=tenths),
        HISTORY,
        "effective_venues_ats",
    )


def _size(history: pl.DataFrame) -> Section:
    sizes = history.select(
        "week_ending",
        pl.col("ats_average_trade_size").alias("ATS"),
        pl.col("average_trade_size").alias("ATS and non-ATS"),
    )
    return trade_size(sizes, HISTORY)
