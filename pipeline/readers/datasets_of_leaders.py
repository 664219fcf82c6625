"""The datasets of what leads: the securities of a week, what a venue traded in each, and what pages add to them."""

from __future__ import annotations

from pipeline.readers.fields import (
    AVERAGE,
    CAPTURE,
    FAMILY,
    KIND,
    MONDAY,
    NO_VOLUME,
    SCOPE,
    SECURITY,
    TIER,
    TRADES,
    VENUE,
    WEEK,
    Dataset,
    count,
    day,
    instant,
    real,
    shares,
    text,
)

NOT_BEFORE = "where the tier, or the venue's kind in it, is not captured in the week before"
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
VENUE_SYMBOLS = Dataset(
    "venue_symbols",
    "A venue's securities",
    "What a venue traded in one week, by security: its part of each, its place in it, and the change on the week before",
    (
        WEEK,
        MONDAY,
        TIER,
        KIND,
        *VENUE,
        *SECURITY,
        shares("shares", "the venue's volume in it"),
        TRADES,
        AVERAGE,
        real("share_of_symbol", "its part of the security's volume of its kind, in the tier", null=NO_VOLUME),
        count("rank", "its place in the security among the venues of its kind; equal volumes share one"),
        count("venues", "how many venues of its kind traded the security"),
        shares("shares_before", "its volume in the week before, zero where it had none", null=NOT_BEFORE),
        shares("shares_change", "shares - shares_before", null=NOT_BEFORE),
    ),
    ("week_ending", "tier", "symbol", "issue_name", "venue_kind", "mpid", "crd", "venue_name"),
)
VENUE_REVISIONS = Dataset(
    "venue_revisions",
    "Restatements that touched a venue",
    "The captures after the first by which a venue's volume, its share or its rank in a tier became another one",
    (
        instant("known_from", "since when it is known"),
        WEEK,
        TIER,
        CAPTURE,
        text("cause", "SOURCE: FINRA restated it; PARSER, FORCED, ANNULLED: our own doing"),
        shares("shares_before", "its volume before", null="where it was not in the tier"),
        shares("shares_after", "its volume after", null="where it is not in the tier any more"),
        real("share_before", "its part of its kind before", null="where it was not in the tier"),
        real("share_after", "the same after", null="where it is not in the tier any more"),
        count("rank_before", "its place before", null="where it was not in the tier"),
        count("rank_after", "its place after", null="where it is not in the tier any more"),
    ),
    ("week_ending", "tier", "capture_id"),
)
VENUE_NAMES = Dataset(
    "venue_names",
    "Names of a venue",
    "The names under which FINRA has published a venue",
    (
        VENUE[2],
        day("first_week", "the first captured week with it"),
        day("last_week", "the last captured week with it"),
    ),
    ("venue_name",),
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
