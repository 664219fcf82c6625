"""The datasets of revisions: the feed of restatements, what a period restated, the triangle and the profile."""

from __future__ import annotations

import polars as pl

from pipeline.readers.fields import (
    CAPTURE,
    FAMILY,
    KIND,
    MONDAY,
    NO_VOLUME,
    SECURITY,
    TEXT,
    TIER,
    VENUE,
    WEEK,
    Dataset,
    Field,
    count,
    day,
    instant,
    real,
    shares,
    text,
    truth,
)

WITHOUT_SHARES = "without shares before"
LOST = "where a vintage of the two is not kept"
NOT_BOTH = f"without volume of the kind before or after; {LOST}"
RESTATEMENTS = Dataset(
    "restatements",
    "Restatements",
    "The feed: every vintage that followed another, in the order in which they became known. A poller keeps one integer",
    (
        count("position", "its place in the feed: only grows, whatever commits late"),
        instant("occurred_at", "since when its rows are known"),
        WEEK,
        MONDAY,
        TIER,
        CAPTURE,
        text("previous_capture_id", "the vintage before it"),
        text("kind", "RESTATEMENT, FORCED, REPARSED, ANNULMENT"),
        text("cause", "SOURCE: FINRA restated it; PARSER, FORCED, ANNULLED: our own doing"),
        count("age_days", "days since the due date of the partition", "days"),
        count("rows_added", "rows that the vintage before lacks", "rows"),
        count("rows_changed", "rows with other figures", "rows"),
        count("rows_removed", "rows that only the vintage before has", "rows"),
        count("rows_unchanged", "rows that are the same", "rows"),
        shares("shares_before", "the sum before"),
        shares("shares_after", "the sum after"),
        real(
            "gross_change_ratio",
            "shares that moved, either way, as a part of shares_before",
            null=f"{WITHOUT_SHARES}; {LOST}",
        ),
        count("venues_moved", "venues whose volume moved", null=LOST),
        real("largest_share_move_bp", "the largest move of a venue's share of its kind", "basis points", null=NOT_BOTH),
        count("rank_changes_top10", "venues among the ten largest of their kind that changed places", null=NOT_BOTH),
        real("hhi_ats_before", "concentration over ATSs before", null=f"without ATS volume; {LOST}"),
        real("hhi_ats_after", "concentration over ATSs after", null=f"without ATS volume; {LOST}"),
        text("annuls", "the capture that it takes back", null="where it takes none back"),
        text("annulled_by", "the capture by which an operator took it back", null="where it stands"),
    ),
    ("position",),
)
MOVES = (
    count("restatements", "in how many restatements"),
    count("rows_added", "rows that were added", "rows"),
    count("rows_changed", "rows whose figures changed", "rows"),
    count("rows_removed", "rows that were removed", "rows"),
    shares("gross_change", "shares that moved, either way"),
    shares("net_change", "shares won less shares lost"),
    Field("capture_ids", pl.List(TEXT), "the captures that restated it"),
)
RESTATED_SYMBOLS = Dataset(
    "restated_symbols",
    "Restated symbols",
    "What FINRA's restatements of a period moved, by security; forced, annulled and parsed captures are left out",
    (
        *SECURITY,
        *MOVES,
        truth(
            "moved_tier", "whether rows of a week left a tier and came to another: one move, told by two restatements"
        ),
    ),
    ("symbol", "issue_name"),
)
RESTATED_VENUES = Dataset(
    "restated_venues",
    "Restated venues",
    "What FINRA's restatements of a period moved, by venue; forced, annulled and parsed captures are left out",
    (KIND, *VENUE, *MOVES),
    ("venue_kind", "mpid", "crd", "venue_name"),
)
DATELESS = "where no row was"
RESTATEMENT_DATES = Dataset(
    "restatement_dates",
    "Restatements and lastUpdateDate",
    "Whether the rows that FINRA restated moved their lastUpdateDate, and how late they came, by tier",
    (
        TIER,
        count("restatements", "how many"),
        count("silent_restatements", "those in which rows changed and none of them moved its date"),
        count("rows_changed_and_moved", "rows with other figures and another date", "rows"),
        count("rows_changed_silently", "rows with other figures and the same date", "rows"),
        count("rows_touched", "rows with another date and the same figures", "rows"),
        count("rows_added", "rows that were added", "rows"),
        count("rows_removed", "rows that were removed, and have no date any more", "rows"),
        real("moved_given_changed", "of the rows that changed, the part that moved its date", null=DATELESS),
        real("changed_given_moved", "of the rows that moved their date, the part that changed", null=DATELESS),
        count(
            "lateness_p50", "how far new dates lie behind the due date: of half the rows no more", "days", null=DATELESS
        ),
        count("lateness_p90", "of 90 in 100 rows no more", "days", null=DATELESS),
        count("lateness_max", "the latest", "days", null=DATELESS),
    ),
    ("tier",),
)
STATE = text(
    "state",
    "VERIFIED; NOT_VERIFIED: no check succeeded at that age or later; UNCERTAIN: it changed between two checks around that "
    "age; TOO_YOUNG; LATE_FIRST_CAPTURE: the first publication may have been missed; EXCLUDED: our own doing is in it",
)
REVISION_TRIANGLE = Dataset(
    "revision_triangle",
    "Revision triangle",
    "How much each partition had moved since its first publication, at each age; null is never no change",
    (
        WEEK,
        TIER,
        FAMILY,
        day("due_date", "the day of first publication, from which ages count"),
        count("age_days", "the age", "days"),
        real(
            "value",
            "the measure at that age",
            "as the measure",
            null="unless VERIFIED, and where the measure needs volume that is not there",
        ),
        count(
            "settled_age_days",
            "the age since which its shares differed from its newest vintage by 0.1 % at most, to when it was last seen",
            "days",
            null="unless VERIFIED",
        ),
        STATE,
    ),
    ("week_ending", "tier", "venue_kind", "age_days"),
)
UNVERIFIED = "where no partition is verified"
REVISION_PROFILE = Dataset(
    "revision_profile",
    "Revision profile",
    "How much partitions have moved since their first publication, at each age: quantiles over the verified ones",
    (
        TIER,
        FAMILY,
        count("age_days", "the age", "days"),
        count("partitions_verified", "partitions that are known at that age"),
        count("partitions_not_verified", "partitions of that age without a successful check at it or later"),
        count("partitions_uncertain", "partitions that changed between two checks around that age"),
        count("partitions_excluded", "partitions with our own doing in them"),
        count("partitions_late", "partitions whose first publication may have been missed"),
        count("partitions_too_young", "partitions that are not of that age yet"),
        real("revised_ratio", "the part of the verified that had moved at all", null=UNVERIFIED),
        real(
            "settled_ratio", "the part of the verified that had settled: settled_age_days is no more", null=UNVERIFIED
        ),
        *(
            real(name, f"the {name[1:]}th percentile", "as the measure", null=UNVERIFIED)
            for name in ("p50", "p90", "p95", "p99")
        ),
        real("max", "the largest", "as the measure", null=UNVERIFIED),
        real("mean", "the mean: one odd partition moves it, see p50", "as the measure", null=UNVERIFIED),
        real("rows_added_per_million", "rows added since the first publication", "of a million", null=UNVERIFIED),
        real("rows_changed_per_million", "rows changed since the first publication", "of a million", null=UNVERIFIED),
        real("rows_removed_per_million", "rows removed since the first publication", "of a million", null=UNVERIFIED),
    ),
    ("tier", "venue_kind", "age_days"),
)
REVISION_VENUES = Dataset(
    "revision_venues",
    "Reliability of venues",
    "How much the volume of each venue has moved since its first publication, at each age, over the verified weeks",
    (
        TIER,
        KIND,
        *VENUE,
        count("age_days", "the age", "days"),
        count("weeks_verified", "weeks that are known at that age, and have the venue in their first vintage"),
        real("revised_ratio", "the part of these weeks in which any row of the venue had moved"),
        *(
            real(name, f"the {name[1:]}th percentile", "as the measure", null=NO_VOLUME)
            for name in ("p50", "p90", "p95", "p99")
        ),
        real("max", "the largest", "as the measure", null=NO_VOLUME),
        real("mean", "the mean: one odd week moves it, see p50", "as the measure", null=NO_VOLUME),
    ),
    ("tier", "venue_kind", "mpid", "crd", "venue_name", "age_days"),
)
