"""The charts of a venue's page: share, as known and as first published, rank, size of trades, share by tier."""

from __future__ import annotations

import polars as pl

from pipeline import readers
from pipeline.admin.market.chart_sections import chart_section, trade_size
from pipeline.admin.market.frame import Asked, Section, without
from pipeline.admin.market.series import Axis, by, hundredths, lines
from pipeline.admin.shared import figures
from pipeline.readers import DATASETS

HISTORY = DATASETS["venue_history"]
PERCENT = 100
FIRST = "first published"


def charts(history: pl.DataFrame, tiers: pl.DataFrame, asked: Asked) -> list[Section]:
    """Four charts over the weeks."""
    return [_share(history, asked), _rank(history), _by_tier(tiers), _size(history)]


def _share(history: pl.DataFrame, asked: Asked) -> Section:
    """Two lines: as known, and as first published."""
    others = without(asked, "as_of", "vintage")
    known = readers.venue_history(**others).frame if "vintage" in asked else history
    first = history if "vintage" in asked else readers.venue_history(**others, vintage="first").frame
    name = f"as of {asked['as_of']}" if "as_of" in asked else "latest"
    both = _percent(known, name).join(_percent(first, FIRST), on="week_ending", how="left").sort("week_ending")
    drawn = lines(both, "week_ending", [name, FIRST], "% of its kind", said=hundredths)
    return chart_section(
        "Share",
        "Part of its kind's volume; where the lines part, FINRA restated the week",
        drawn,
        HISTORY,
        "share",
    )


def _percent(history: pl.DataFrame, name: str) -> pl.DataFrame:
    return history.select("week_ending", (pl.col("share") * PERCENT).alias(name))


def _rank(history: pl.DataFrame) -> Section:
    return chart_section(
        "Rank",
        "By volume within its kind, the first place at the top",
        lines(history, "week_ending", ["rank"], Axis("rank", reverse=True), said=figures.number),
        HISTORY,
        "rank",
    )


def _by_tier(tiers: pl.DataFrame) -> Section:
    shares = by(tiers, "week_ending", "tier", pl.col("share") * PERCENT)
    return chart_section(
        "Share by tier",
        "Part of its kind's volume in each tier",
        lines(shares, "week_ending", shares.columns[1:], "% of its kind", said=hundredths),
        HISTORY,
        "share",
    )


def _size(history: pl.DataFrame) -> Section:
    size = history.select("week_ending", pl.col("average_trade_size").alias("shares a trade"))
    return trade_size(size, HISTORY)
