"""The datasets of symbols: found by a word, by week, by venue, and the largest of a week."""

from __future__ import annotations

from pipeline.readers.fields import (
    AVERAGE,
    FAMILY,
    KIND,
    MONDAY,
    NO_VOLUME,
    ONE_KIND,
    SCOPE,
    SECURITY,
    TIER,
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

SYMBOL_LEADERS = Dataset(
    "symbol_leaders",
    "Securities of a week",
    "The securities of one week by off-exchange volume, and how much of it the largest have together",
    (
        WEEK,
        MONDAY,
        SCOPE,
        FAMILY,
        *SECURITY,
        count("rank", "its place by volume; equal volumes share one"),
        shares("shares", "its volume"),
        TRADES,
        AVERAGE,
        real("share", "its part of the volume of the kind, in the tier", null=NO_VOLUME),
        real("cumulative_ratio", "the part that it and all before it have together", null=NO_VOLUME),
        count("venues", "how many venues traded it; the pool counts as one"),
        real("hhi_low", "concentration over venues, the pool taken as infinitely many firms", null=NO_VOLUME),
        real("hhi_high", "concentration over venues, the pool taken as one firm", null=NO_VOLUME),
    ),
    ("tier", "venue_kind", "rank", "symbol", "issue_name"),
)

TIERS_HELD = Dataset(
    "tiers_held",
    "Tiers of a security",
    "The tiers that a security was in, over the weeks that have a row of it",
    (
        *SECURITY,
        TIER,
        day("first_week", "the first week of the weeks that follow each other"),
        day("last_week", "the last of them"),
        count("weeks", "in how many of them it has a row", "weeks"),
    ),
    ("symbol", "issue_name", "first_week", "tier"),
)

SYMBOL_AT_TWO = Dataset(
    "symbol_at_two",
    "A security as known at two instants",
    "The volume of a security by week, as known at A and at B",
    (
        WEEK,
        *SECURITY,
        shares("shares_a", "its volume as known at A", null="where one kind, or nothing, was captured then"),
        shares("shares_b", "its volume as known at B", null="where one kind, or nothing, was captured then"),
        shares("shares_change", "shares_b - shares_a", null="where one of them is"),
        real("ats_ratio_a", "the ATSs' part as known at A", null="where the volume is, or is zero"),
        real("ats_ratio_b", "the ATSs' part as known at B", null="where the volume is, or is zero"),
        real("hhi_ats_a", "concentration over ATSs as known at A", null=NO_VOLUME),
        real("hhi_ats_b", "concentration over ATSs as known at B", null=NO_VOLUME),
    ),
    ("week_ending", "symbol", "issue_name"),
)
