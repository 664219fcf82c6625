"""The datasets of restatements: the feed, what a period restated, how FINRA dates it."""

from __future__ import annotations

import polars as pl

from pipeline.readers.fields import (
    CAPTURE,
    KIND,
    MONDAY,
    SECURITY,
    TEXT,
    TIER,
    VENUE,
    WEEK,
    Dataset,
    Field,
    count,
    instant,
    real,
    shares,
    text,
    truth,
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
        text("kind", "RESTATEMENT, FORCED, REPARSED, ANNULMENT, EVIDENCE"),
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
