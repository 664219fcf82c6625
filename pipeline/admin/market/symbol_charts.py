"""The charts of a symbol's page: volume by kind, concentration, effective venues, size of trades."""

from __future__ import annotations

import polars as pl

from pipeline.admin.market.frame import Section
from pipeline.admin.market.market_charts import BANDS
from pipeline.admin.market.series import Ribbon, bars, lines, tenths, whole
from pipeline.admin.market.tables import entries
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
    return Section(
        "Volume",
        "Off exchange, by week. Shares are not adjusted for splits",
        bars(shares, "week_ending", ["ATS", "non-ATS"], "shares", said=whole),
        entries=entries(HISTORY, "ats_shares"),
        narrow=True,
    )


def _concentration(history: pl.DataFrame) -> Section:
    points = history.select(
        "week_ending",
        (pl.col("hhi_ats") * HHI_POINTS).alias("ATS"),
        (pl.col("hhi_non_ats_low") * HHI_POINTS).alias("low"),
        (pl.col("hhi_non_ats_high") * HHI_POINTS).alias("high"),
    )
    ribbon = Ribbon("non-ATS", "low", "high")
    return Section(
        "Concentration",
        "HHI in points. The ribbon is the non-ATS one, the pool of small firms taken as many and as one",
        lines(points, "week_ending", ["ATS"], "HHI, points", said=tenths, bands=BANDS, ribbon=ribbon),
        entries=entries(HISTORY, "hhi_ats"),
        narrow=True,
    )


def _effective(history: pl.DataFrame) -> Section:
    venues = history.select("week_ending", effective="effective_venues_ats", traded="venues_ats")
    return Section(
        "Effective venues",
        "How many ATSs of equal size would be as concentrated, beside how many traded it",
        lines(venues, "week_ending", ["effective", "traded"], "ATSs", said=tenths),
        entries=entries(HISTORY, "effective_venues_ats"),
        narrow=True,
    )


def _size(history: pl.DataFrame) -> Section:
    sizes = history.select(
        "week_ending",
        pl.col("ats_average_trade_size").alias("ATS"),
        pl.col("average_trade_size").alias("ATS and non-ATS"),
    )
    return Section(
        "Trade size",
        "Average shares of a trade",
        lines(sizes, "week_ending", ["ATS", "ATS and non-ATS"], "shares a trade", said=tenths),
        entries=entries(HISTORY, "average_trade_size"),
        narrow=True,
    )
