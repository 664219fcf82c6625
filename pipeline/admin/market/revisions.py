"""The revision profile: how much a week still moves at an age."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from django import forms
from django.urls import reverse

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    Tile,
    caveats_of,
    downloads,
    kind_field,
    tier_field,
    without,
)
from pipeline.admin.market.series import Ribbon, lines
from pipeline.admin.market.tables import Cell, Columns, Header, Record, Table, entries
from pipeline.admin.market.triangle import said_value, triangle_table
from pipeline.admin.shared import figures, market_links
from pipeline.finra.calendar import Tier
from pipeline.models import Capture
from pipeline.readers import DATASETS, Result
from pipeline.readers.revision_venues import MEASURES
from pipeline.readers.revisions import AGES, MeasureName
from pipeline.readers.sentences import sentences_at

MOST, TOP = 260, 25
PERCENT = 100
DATASET = DATASETS["revision_profile"]
PROFILE = (
    "tier",
    "venue_kind",
    "age_days",
    "partitions_verified",
    "partitions_not_verified",
    "partitions_uncertain",
    "partitions_excluded",
    "partitions_late",
    "partitions_too_young",
    "revised_ratio",
    "settled_ratio",
    "p50",
    "p90",
    "p99",
    "max",
    "rows_added_per_million",
    "rows_changed_per_million",
    "rows_removed_per_million",
)
VENUES = (
    "tier",
    "venue_kind",
    "mpid",
    "venue_name",
    "weeks_verified",
    "revised_ratio",
    "p50",
    "p90",
    "p99",
    "max",
    "mean",
)
DATES = (
    "tier",
    "restatements",
    "silent_restatements",
    "rows_changed_and_moved",
    "rows_changed_silently",
    "rows_touched",
    "moved_given_changed",
    "changed_given_moved",
    "lateness_p50",
    "lateness_p90",
    "lateness_max",
)
METHOD = (
    "Age counts in days from a partition's due date. Compared are the first capture and the newest one at that age.",
    "A partition enters an age only if a check found what is held at that age or later: one that was not looked at is not "
    "verified, and never counts as unchanged.",
    "A change that was found between two checks around an age is uncertain there. A first capture that came late may have "
    "missed the first publication, and is left out.",
    "Only FINRA's own restatements count: forced, annulled, parsed and reverted captures are left out, and listed below.",
    "How often weeks are checked is part of the result: a change of the schedule is a break in the series.",
)


class Form(MarketForm):
    """A measure, a tier and a kind."""

    measure = forms.ChoiceField(
        required=False,
        choices=[
            ("", MeasureName.GROSS_CHANGE_RATIO.replace("_", " ")),
            *((one.value, one.value.replace("_", " ")) for one in list(MeasureName)[1:]),
        ],
    )
    tier = tier_field()
    venue_kind = kind_field()


def build(asked: Asked) -> Contents:
    """The sentences, the quantiles and the revised part by age, and the triangle that they are made from."""
    asked = asked if asked.get("tier") not in (None, ALL) else without(asked, "tier")
    asked = {"venue_kind": ALL, **asked}
    profile, triangle = readers.revision_profile(**asked), readers.revision_triangle(**asked)
    sections = [_said(asked), *_charts(profile), _profile(profile, asked), _triangle(triangle, asked)]
    sections += [_venues(asked), _lateness(asked), *_excluded(profile), Section("How it is measured", sentences=METHOD)]
    return Contents(sections, (), caveats_of(profile), tiles=_tiles(profile))


def _tiles(profile: Result) -> list[Tile]:
    """What the figures rest on."""
    facts, oldest = profile.meta.facts, profile.meta.facts.oldest_verified_age_days
    weeks = f"{facts.first_week} to {facts.last_week}" if facts.first_week else "no week is captured"
    [verified] = entries(DATASET, "partitions_verified")
    most = max(profile.frame["partitions_verified"].to_list(), default=0)
    excluded = sum(facts.excluded.values())
    return [
        Tile("Partitions verified, at most", f"{most:,}", "of a tier at an age", verified),
        Tile("Known through", f"{oldest:,} days" if oldest is not None else "nothing yet", "unknown beyond"),
        Tile("Late first captures", f"{facts.late_first_captures:,}", weeks),
        Tile(
            "Captures left out", f"{excluded:,}", "our own doing, listed below" if excluded else "none is our own doing"
        ),
    ]


def _said(asked: Asked) -> Section:
    """What a person may rely on, by tier, at four weeks."""
    tiers = [asked["tier"]] if "tier" in asked else [tier.value for tier in Tier]
    kind: str = asked["venue_kind"]
    told = sentences_at(dict.fromkeys(tiers, AGES[3]), kind)
    return Section(f"After {AGES[3]} days", sentences=told)


def _charts(profile: Result) -> list[Section]:
    """The quantiles of each tier as a fan, and the part that was revised at all as steps."""
    verified = profile.frame.filter(pl.col("partitions_verified") > 0).sort("age_days")
    tiers = verified["tier"].unique().sort().to_list()
    moved = [tier for tier in tiers if verified.filter(pl.col("tier") == tier, pl.col("max") > 0).height]
    still = [f"No verified partition of {tier} had moved at any age." for tier in tiers if tier not in moved]
    fans = [_fan(tier, verified.filter(pl.col("tier") == tier)) for tier in moved]
    told = [Section("By this measure", sentences=tuple(still))] if still else []
    return [*fans, *([_steps(verified, tiers)] if moved else []), *told]


def _fan(tier: str, of_tier: pl.DataFrame) -> Section:
    drawn = lines(of_tier, "age_days", ["p50"], "moved", said=said_value, ribbon=Ribbon("p90 to p99", "p90", "p99"))
    lead = "The median by age in days, and from the 90th to the 99th percentile, of the verified partitions"
    return Section(tier, lead, drawn, entries=entries(DATASET, "p50", "p99"), narrow=True)


def _steps(verified: pl.DataFrame, tiers: Sequence[str]) -> Section:
    wide = verified.with_columns(pl.col("revised_ratio") * PERCENT).pivot(
        "tier", index="age_days", values="revised_ratio"
    )
    drawn = lines(wide.sort("age_days"), "age_days", tiers, "% of partitions", said=_percent, stepped=True)
    lead = (
        "The part of the verified partitions that had been revised at all, by age in days; the table has the uncertain"
    )
    return Section("Revised at all", lead, drawn, entries=entries(DATASET, "revised_ratio"), narrow=True)


def _percent(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:,.1f} %"


def _profile(profile: Result, asked: Asked) -> Section:
    table = Columns(DATASET, PROFILE).table(profile.frame, MOST)
    empty = "No partition has been first captured and checked yet: the profile begins with the first weeks captured on time."
    return Section("By age", DATASET.meaning, None, table, empty, downloads(profile, asked))


def _triangle(triangle: Result, asked: Asked) -> Section:
    """Weeks down, ages across: how much moved, or why that is not known."""
    lead = "Each partition at each age: the warmer, the more had moved. Hatched: not known, or not counted, as the word says"
    empty = "No partition is captured."
    return Section("The triangle", lead, None, triangle_table(triangle.frame, MOST), empty, downloads(triangle, asked))


def _venues(asked: Asked) -> Section:
    """The venues whose volume moves most after its first publication."""
    title = f"By venue, after {AGES[3]} days"
    if MeasureName(asked.get("measure", MeasureName.GROSS_CHANGE_RATIO)) not in MEASURES:
        return Section(
            title, sentences=("This measure is of a market: a venue has a change of volume, or of its share.",)
        )
    question: Asked = {**asked, "ages": f"{AGES[3]}"}
    found = readers.revision_venues(**question)
    most = found.frame.sort("p90", "max", "weeks_verified", descending=True, nulls_last=True, maintain_order=True)
    table = Columns(DATASETS["revision_venues"], VENUES, dict.fromkeys(("mpid", "venue_name"), _venue)).table(most, TOP)
    lead = "The venues whose volume moved most since its first publication, over their verified weeks"
    return Section(title, lead, None, table, "No week is verified at that age.", downloads(found, question))


def _venue(record: Record) -> str:
    return market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])


def _lateness(asked: Asked) -> Section:
    """Whether the rows that FINRA restated say so by their date, and how late they came."""
    question: Asked = {name: asked[name] for name in ("tier", "venue_kind") if name in asked}
    found = readers.restatement_dates(**question)
    table = Columns(DATASETS["restatement_dates"], DATES).table(found.frame, len(Tier))
    lead = "Whether restated rows moved their lastUpdateDate, and how many days behind the due date the new dates lie"
    return Section("Lateness", lead, None, table, "Nothing was restated.", downloads(found, question))


def _excluded(profile: Result) -> list[Section]:
    """The captures that do not count, each with its reason."""
    told = [one.rpartition(": ") for one in profile.meta.facts.excluded_captures]
    if not told:
        return []
    keys = dict(Capture.objects.filter(capture_id__in=[name for name, _, _ in told]).values_list("capture_id", "pk"))
    lines_ = [[Cell(name, _page(keys.get(name))), Cell(why)] for name, _, why in told[:MOST]]
    heads = [Header("Capture", "", is_number=False), Header("Why it does not count", "", is_number=False)]
    return [Section("Left out", table=Table(heads, lines_, max(0, len(told) - MOST)))]


def _page(key: int | None) -> str:
    return reverse("admin:pipeline_capture_change", args=[key]) if key else ""


PAGE = MarketPage(
    "market_revisions", "Revision profile", "How much does a week still move at a given age?", Form, build
)
