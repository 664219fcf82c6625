"""The datasets of venues: those of a week, one of them by week, and what it traded."""

from __future__ import annotations

from pipeline.readers.fields import (
    AVERAGE,
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
    truth,
)

NOT_COMPARABLE = "where the week before is not comparable, or the venue was not in it"

FIRST_VINTAGE = "where the first vintage lacks the venue, or is not kept"

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
        real("share_first_published", "the same in the first vintage", null=FIRST_VINTAGE),
        count("rank", "its place by volume within its kind"),
        real("share_of_all", "its part of ATS and non-ATS volume together", null=ONE_KIND),
        count("rank_of_all", "its place among all venues", null=ONE_KIND),
        real("shares_per_trading_day", "shares / days on which the NYSE was open", "shares"),
        truth("restated", "whether FINRA restated a tier of the week since its first capture"),
    ),
    ("week_ending", "tier", "venue_kind", "mpid", "crd", "venue_name"),
)

NOT_BEFORE = "where the tier, or the venue's kind in it, is not captured in the week before"

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
