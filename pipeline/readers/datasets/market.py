"""The dataset of the market: totals and concentration."""

from __future__ import annotations

from pipeline.readers.fields import (
    AVERAGE,
    FAMILY,
    MONDAY,
    NO_VOLUME,
    ONE_KIND,
    SCOPE,
    TRADES,
    WEEK,
    Dataset,
    count,
    real,
    shares,
    truth,
)

HHI = (
    real("hhi_low", "sum of squared shares, the pool taken as infinitely many firms", null=NO_VOLUME),
    real("hhi_high", "sum of squared shares, the pool taken as one firm", null=NO_VOLUME),
    real("effective_venues_low", "1 / hhi_high", "venues", null=NO_VOLUME),
    real("effective_venues_high", "1 / hhi_low", "venues", null=f"{NO_VOLUME}, or where the pool is all of it"),
)

MARKET = Dataset(
    "market",
    "Market by week",
    "Off-exchange volume by week, tier and kind: totals, the part of ATSs, concentration. There is no consolidated total: "
    "FINRA's feed has none",
    (
        WEEK,
        MONDAY,
        SCOPE,
        FAMILY,
        shares("shares", "the volume"),
        TRADES,
        count("venues", "how many venues traded; the pool counts as one"),
        count("symbols", "how many securities traded"),
        AVERAGE,
        real("ats_ratio", "the ATSs' part of ATS and non-ATS volume", null=ONE_KIND),
        *HHI,
        real("top5_ratio", "the part of the five largest venues, without the pool", null=NO_VOLUME),
        count("trading_days", "days on which the NYSE was open", "days"),
        real("shares_per_trading_day", "shares / trading_days", "shares"),
        truth("restated", "whether FINRA restated a tier of it since its first capture"),
    ),
    ("week_ending", "tier", "venue_kind"),
)
