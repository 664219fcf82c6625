"""The datasets of the ledger: partitions, captures, weeks, and what may be used."""

from __future__ import annotations

import polars as pl

from pipeline.readers.fields import (
    CAPTURE,
    MONDAY,
    TEXT,
    TIER,
    VERSION,
    WEEK,
    Dataset,
    Field,
    count,
    day,
    instant,
    shares,
    text,
    truth,
)

NOTHING_CAPTURED = "where nothing of the week is captured"

PARTITIONS = Dataset(
    "partitions",
    "Partitions",
    "Each partition (week and tier): what is captured of it, when it was last checked, and how it stands",
    (
        WEEK,
        MONDAY,
        TIER,
        day("due_date", "the day on which FINRA first publishes it"),
        text("state", "CAPTURED, RESTATED, ARCHIVED (its rows are not stored), ANNULLED, LATE, NOT_YET_DUE"),
        count("captures", "how many captures there are"),
        instant("first_captured_at", "when it was first captured", null="where nothing is captured"),
        truth("late_first_capture", "whether that was more than three days after the due date", null="uncaptured"),
        text("capture_id", "the newest capture with rows", null="where there is none"),
        count("version", "its number", null="where there is none"),
        instant("captured_at", "when it was captured", null="where there is none"),
        instant("known_from", "since when its rows are known", null="where there is none"),
        count("rows", "how many rows it has", "rows", null="where there is none"),
        count("rows_rejected", "how many lines of its payload are no data", "rows", null="where there is none"),
        shares("shares", "their sum", null="where there is none"),
        count("trades", "their sum", "trades", null="where there is none"),
        day("last_update_date", "FINRA's newest lastUpdateDate in it", null="where there is none"),
        instant("last_checked_at", "when the source was last asked for it", null="where it never was"),
        text("last_check", "what that found: UNMOVED, UNCHANGED, RESTATED, FAILED ...", null="where it never was"),
        count(
            "verified_through_age_days",
            "the age, in days since the due date, at which the source was last seen to have what is held",
            "days",
            null="where it never was",
        ),
        truth("restated", "whether FINRA restated it since the first capture"),
    ),
    ("week_ending", "tier"),
)

CAPTURES = Dataset(
    "captures",
    "Captures",
    "Every vintage of every partition: when, why, how it differs from the one before it",
    (
        CAPTURE,
        WEEK,
        MONDAY,
        TIER,
        VERSION,
        text(
            "kind", "FIRST, RESTATEMENT, FORCED, REPARSED, ANNULMENT, EVIDENCE (the same rows, whose payload was lost)"
        ),
        text("cause", "SOURCE: FINRA published it; PARSER, FORCED, ANNULLED: our own doing"),
        text("reason", "why it was captured, as a sentence"),
        instant("captured_at", "when its payload was captured"),
        instant("known_from", "since when its rows are known", null="while only its payload is archived"),
        instant("known_to", "from when another version was the newest", null="while it is the newest"),
        count("position", "its place in the feed", null="while only its payload is archived"),
        count("rows", "how many rows it has", "rows"),
        count("rows_rejected", "how many lines of its payload are no data", "rows"),
        shares("shares", "their sum"),
        count("trades", "their sum", "trades"),
        text("content_hash", "SHA-256 of its rows, whatever their order and format"),
        text("payload_sha256", "SHA-256 of the bytes as fetched"),
        count("rows_added", "rows that the version before it lacks", "rows", null="while its rows are not stored"),
        count("rows_changed", "rows that have other figures in it", "rows", null="while its rows are not stored"),
        count("rows_removed", "rows that only the version before it has", "rows", null="while its rows are not stored"),
        count("rows_unchanged", "rows that are the same", "rows", null="while its rows are not stored"),
        text("previous_capture_id", "the version before it", null="of the first"),
        truth("is_latest", "whether it is the newest with rows of its partition"),
        truth("pruned", "whether its rows have been given up"),
        text("annuls", "the capture that it takes back", null="where it takes none back"),
        text("annulled_by", "the capture by which an operator took it back", null="where it stands"),
        text("annulled_note", "why an operator took it back", null="where it stands"),
    ),
    ("week_ending", "tier", "version"),
)

WEEKS = Dataset(
    "weeks",
    "Weeks",
    "A line a week: what is captured, what may be used",
    (
        WEEK,
        MONDAY,
        count("trading_days", "days on which the NYSE was open", "days"),
        day("due_date", "the day on which the last tier is due"),
        count("partitions_due", "tiers that are due"),
        count("partitions_captured", "tiers whose rows are stored"),
        text("state_trading", "readiness for trading", null="never judged"),
        text("state_compliance", "readiness for compliance", null="never judged"),
        text("state_research", "readiness for research", null="never judged"),
        count("rows", "rows of the tiers that are captured", "rows", null=NOTHING_CAPTURED),
        shares("shares", "their shares", null=NOTHING_CAPTURED),
        count("trades", "their trades", "trades", null=NOTHING_CAPTURED),
        truth("restated", "whether FINRA restated a tier since its first capture", null=NOTHING_CAPTURED),
        instant("last_checked_at", "when the source was last asked for a tier", null="where it never was"),
    ),
    ("week_ending",),
)

READINESS = Dataset(
    "readiness",
    "Readiness",
    "Whether a week may be used, per use, and what stands in the way",
    (
        WEEK,
        MONDAY,
        text("use", "trading, compliance, research"),
        text("state", "READY, PROVISIONAL, AWAITING_PUBLICATION, BLOCKED"),
        Field("reasons", pl.List(TEXT), "what blocks or qualifies it, a sentence each"),
        Field("reason_codes", pl.List(TEXT), "the code of each reason, in their order: docs/readiness.md"),
        instant("since", "when the verdict last changed", null="never judged"),
        instant("decided_at", "when it was judged", null="never judged"),
        truth("restated_since_ready", "whether rows of the week changed since it became what it is"),
        instant("last_checked_at", "when the source was last asked for a tier", null="where it never was"),
    ),
    ("week_ending", "use"),
)

READINESS_CHANGES = Dataset(
    "readiness_changes",
    "Changes of readiness",
    "The feed of verdicts: a week became READY for a use, or is no longer. A poller keeps one integer",
    (
        count(
            "position",
            "its place in the feed, that of restatements: rows at this position have all captures that it judged",
        ),
        instant("occurred_at", "when it was judged"),
        WEEK,
        MONDAY,
        text("use", "trading, compliance, research"),
        text("state_before", "the verdict before", null="the first verdict"),
        text("state", "READY, PROVISIONAL, AWAITING_PUBLICATION, BLOCKED"),
        truth("became_ready", "whether it is READY, and was not"),
        truth("lost_ready", "whether it was READY, and is not"),
        Field("reasons", pl.List(TEXT), "what blocks or qualifies it, a sentence each"),
        Field("reason_codes", pl.List(TEXT), "the code of each reason, in their order: docs/readiness.md"),
    ),
    ("position",),
)
