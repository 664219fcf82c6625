"""The datasets of figures: venues, symbols, the market. `share` is of off-exchange volume, never of the whole market."""

from __future__ import annotations

from pipeline.readers.fields import (
    AVERAGE,
    FAMILY,
    KIND,
    MONDAY,
    NO_VOLUME,
    SCOPE,
    SECURITY,
    TRADES,
    VENUE,
    WEEK,
    Dataset,
    count,
    day,
    real,
    shares,
    text,
    truth,
)

NOT_COMPARABLE = "where the week before is not comparable, or the venue was not in it"
FIRST_VINTAGE = "where the first vintage has the venue not, or is not kept"
ONE_KIND = "where one kind is not captured"
SHARE = real("share", "its part of the volume of its kind, in the tier", null=NO_VOLUME)
VENUES = Dataset(
    "venues",
    "Venues of a week",
    "The venues of one week by volume, and how that changed on the week before",
    (
        WEEK,
        MONDAY,
        SCOPE,
        KIND,
        *VENUE,
        count("rank", "its place by volume within its kind; equal volumes share one"),
        count("rank_before", "its place in the week before", null=NOT_COMPARABLE),
        count("rank_change", "places won; negative: lost", null=NOT_COMPARABLE),
        shares("shares", "its volume"),
        TRADES,
        count("symbols", "in how many securities it traded"),
        AVERAGE,
        SHARE,
        real("share_before", "the same in the week before", null=NOT_COMPARABLE),
        real("share_change_bp", "share - share_before", "basis points", null=NOT_COMPARABLE),
        real("share_first_published", "the same in the first vintage", null=FIRST_VINTAGE),
        real("share_of_all", "its part of ATS and non-ATS volume together", null=ONE_KIND),
        count("rank_of_all", "its place among all venues", null=ONE_KIND),
        real("shares_per_trading_day", "shares / days on which the NYSE was open", "shares"),
        truth("is_pool", "whether it is the pool of small firms, which is no single venue"),
    ),
    ("tier", "venue_kind", "rank", "mpid", "crd", "venue_name"),
)
VENUE_HISTORY = Dataset(
    "venue_history",
    "A venue by week",
    "The volume, share and rank of a venue, week by week",
    (
        WEEK,
        MONDAY,
        SCOPE,
        KIND,
        *VENUE,
        shares("shares", "its volume"),
        TRADES,
        count("symbols", "in how many securities it traded"),
        AVERAGE,
        SHARE,
        count("rank", "its place by volume within its kind"),
        real("share_of_all", "its part of ATS and non-ATS volume together", null=ONE_KIND),
        count("rank_of_all", "its place among all venues", null=ONE_KIND),
        real("shares_per_trading_day", "shares / days on which the NYSE was open", "shares"),
        truth("restated", "whether FINRA restated a tier of the week since its first capture"),
    ),
    ("week_ending", "tier", "venue_kind", "mpid", "crd", "venue_name"),
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
SYMBOLS = Dataset(
    "symbols",
    "Symbols",
    "The securities of the captured weeks: found by their symbol, by another spelling of it, or by the issue's name",
    (
        *SECURITY,
        day("first_week", "the first week searched that has it"),
        day("last_week", "the last week that has it"),
        text("tiers", "the tiers that it was in, with commas"),
        text("spelling", "how it was found: EXACT, OTHER (case or separators), PREFIX, NAME, ANY"),
        count("relevance", "1 for EXACT, 2 for OTHER, 3 for PREFIX, 4 for NAME, 5 for ANY"),
    ),
    ("symbol", "issue_name"),
)
NOT_CAPTURED = "where that kind is not captured"
SYMBOL_HISTORY = Dataset(
    "symbol_history",
    "A symbol by week",
    "The off-exchange volume of a security, week by week: ATS, non-ATS, concentration",
    (
        WEEK,
        MONDAY,
        SCOPE,
        *SECURITY,
        shares("ats_shares", "volume of ATSs", null=NOT_CAPTURED),
        shares("non_ats_shares", "volume of other firms", null=NOT_CAPTURED),
        shares("shares", "both", null=ONE_KIND),
        real("ats_ratio", "ats_shares / shares", null=f"{ONE_KIND}, or without volume"),
        count("ats_trades", "trades on ATSs", "trades", null=NOT_CAPTURED),
        count("non_ats_trades", "trades with other firms", "trades", null=NOT_CAPTURED),
        count("trades", "both", "trades", null=ONE_KIND),
        real("ats_average_trade_size", "ats_shares / ats_trades", "shares", null="without ATS trades"),
        real("average_trade_size", "shares / trades", "shares", null=f"{ONE_KIND}, or without trades"),
        count("venues_ats", "ATSs that traded it", null=NOT_CAPTURED),
        count("venues_non_ats", "other firms that traded it; the pool counts as one", null=NOT_CAPTURED),
        real("hhi_ats", "concentration over ATSs", null=NO_VOLUME),
        real("effective_venues_ats", "1 / hhi_ats", "venues", null=NO_VOLUME),
        real("hhi_non_ats_low", "concentration over firms, the pool as infinitely many", null=NO_VOLUME),
        real("hhi_non_ats_high", "concentration over firms, the pool as one", null=NO_VOLUME),
        truth("tier_changed", "whether it was in other tiers the week before", null="where it was in none"),
        truth("restated", "whether FINRA restated the partition since its first capture"),
    ),
    ("week_ending", "tier", "symbol", "issue_name"),
)
SYMBOL_VENUES = Dataset(
    "symbol_venues",
    "A symbol by venue",
    "Who traded a security off exchange, week by week",
    (
        WEEK,
        MONDAY,
        SCOPE,
        *SECURITY,
        KIND,
        *VENUE,
        shares("shares", "the venue's volume in it"),
        TRADES,
        AVERAGE,
        real("share", "its part of the security's volume in the tier, over the kinds asked for", null=NO_VOLUME),
    ),
    ("week_ending", "tier", "symbol", "issue_name", "venue_kind", "mpid", "crd", "venue_name"),
)
SYMBOL_VENUES_WIDE = Dataset(
    "symbol_venues",
    "A symbol by week, with a column for each venue",
    "Who traded a security off exchange: behind these columns one for each venue, the largest first, and `other`",
    (
        WEEK,
        MONDAY,
        SCOPE,
        *SECURITY,
        shares("row_total", "the security's volume, over the kinds asked for"),
    ),
    ("week_ending", "tier", "symbol", "issue_name"),
)
