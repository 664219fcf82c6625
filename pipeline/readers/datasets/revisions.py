"""The datasets of revisions: how much a partition or a venue moves after its first publication."""

from __future__ import annotations

from pipeline.readers.fields import FAMILY, KIND, NO_VOLUME, TIER, VENUE, WEEK, Dataset, count, day, real, shares, text

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

REVISION_VENUE_TRIANGLE = Dataset(
    "revision_venue_triangle",
    "Revision triangle of venues",
    "How much the volume of each venue had moved since its first publication, by week and age. A week has no row at an age "
    "at which it is not verified, nor of a venue that its first vintage lacks",
    (
        WEEK,
        TIER,
        KIND,
        *VENUE,
        count("age_days", "the age", "days"),
        shares("shares_first_published", "its volume in the first vintage"),
        real("value", "the measure at that age", "as the measure", null=NO_VOLUME),
    ),
    ("week_ending", "tier", "venue_kind", "mpid", "crd", "venue_name", "age_days"),
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
