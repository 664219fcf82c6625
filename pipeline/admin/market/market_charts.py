"""The charts of the market's page: volume, concentration, the largest ATSs, the size of trades, by week."""

from __future__ import annotations

from datetime import date

import polars as pl

from pipeline import readers
from pipeline.admin.market.chart_sections import chart_section, concentration, trade_size
from pipeline.admin.market.frame import ALL, Asked, Download, Section, without
from pipeline.admin.market.series import Axis, bars, by, hundredths, whole
from pipeline.admin.shared import market_links
from pipeline.models import HHI_POINTS
from pipeline.readers import DATASETS
from pipeline.readers.largest import OTHERS, largest_ats_shares

MARKET = DATASETS["market"]
KIND = pl.col("venue_kind").replace({"NON_ATS": "non-ATS"})
LARGEST = 10
PERCENT = 100


def charts(market: pl.DataFrame, over: Asked, week: date, ways: tuple[Download, ...]) -> list[Section]:
    """Four charts of some weeks, up to one."""
    if market.is_empty():
        return []
    return [_volume(market, ways), _concentration(market, over), _largest(over, week), _sizes(market)]


def _kinds(market: pl.DataFrame, value: str) -> pl.DataFrame:
    """A figure of ATSs and of other firms, by week."""
    kinds = market.filter(pl.col("venue_kind") != ALL).with_columns(KIND.alias("kind"))
    return by(kinds, "week_ending", "kind", pl.col(value))


def _volume(market: pl.DataFrame, ways: tuple[Download, ...]) -> Section:
    daily = _kinds(market, "shares_per_trading_day")
    return chart_section(
        "Volume",
        "Shares per trading day, so that weeks with a holiday compare with the others",
        bars(daily, "week_ending", daily.columns[1:], "shares a day", said=whole),
        MARKET,
        "shares_per_trading_day",
        ways,
    )


def _concentration(market: pl.DataFrame, over: Asked) -> Section:
    """HHI of the ATSs of each tier, and of the other firms as an interval, between the bands of the merger guidelines."""
    ats = market
    if over["tier"] == ALL:
        ats = pl.concat([market, readers.market(**without(over, "tier"), venue_kind="ATS").frame])
    tiers = ats.filter(pl.col("venue_kind") == "ATS").with_columns(pl.concat_str(pl.lit("ATS "), "tier").alias("name"))
    points = by(tiers, "week_ending", "name", pl.col("hhi_low") * HHI_POINTS)
    firms = market.filter(pl.col("venue_kind") == "NON_ATS").select(
        "week_ending", low=pl.col("hhi_low") * HHI_POINTS, high=pl.col("hhi_high") * HHI_POINTS
    )
    drawn = points.join(firms, on="week_ending", how="left").sort("week_ending")
    return concentration(drawn, points.columns[1:], MARKET, "hhi_low")


def _largest(over: Asked, week: date) -> Section:
    shares = largest_ats_shares(week, LARGEST, **over)
    wide = shares.with_columns(pl.col("share") * PERCENT).pivot("mpid", index="week_ending", values="share")
    ranked = shares.filter(pl.col("week_ending") == week)["mpid"].to_list()
    names = [name for name in dict.fromkeys((*ranked, OTHERS)) if name in wide.columns]
    urls = {mpid: market_links.of_venue(mpid) for mpid in names if mpid != OTHERS}
    axis = Axis("% of ATS shares", of_whole=True)
    drawn = bars(wide, "week_ending", names, axis, said=hundredths, urls=urls)
    return chart_section(
        "The ten largest ATSs",
        f"Of week {week}: their part of ATS volume by week",
        drawn,
        DATASETS["venues"],
        "share",
    )


def _sizes(market: pl.DataFrame) -> Section:
    return trade_size(_kinds(market, "average_trade_size"), MARKET)
