"""The revision profile: how much a week still moves at an age."""

from __future__ import annotations

import polars as pl
from django import forms

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    caveats_of,
    downloads,
    kind_field,
    tier_field,
    without,
)
from pipeline.admin.market.series import lines
from pipeline.admin.market.tables import Cell, Columns, Header, Table
from pipeline.admin.shared import figures, market_links
from pipeline.finra.calendar import Tier
from pipeline.readers import DATASETS, Result
from pipeline.readers.revisions import AGES, MeasureName

MOST = 260
SAID = {
    "NOT_VERIFIED": "not verified: no check succeeded at that age or later",
    "UNCERTAIN": "uncertain: it changed between two checks around that age",
    "TOO_YOUNG": "too young",
    "LATE_FIRST_CAPTURE": "its first publication may have been missed",
    "EXCLUDED": "excluded: our own doing is in it",
}
PROFILE = (
    "tier",
    "venue_kind",
    "age_days",
    "partitions_verified",
    "partitions_excluded",
    "partitions_too_young",
    "revised_ratio",
    "p50",
    "p90",
    "p99",
    "max",
)


class Form(MarketForm):
    """A measure, a tier and a kind."""

    measure = forms.ChoiceField(
        required=False, choices=[("", MeasureName.GROSS_CHANGE_RATIO), *((one.value, one.value) for one in MeasureName)]
    )
    tier = tier_field()
    venue_kind = kind_field()


def build(asked: Asked) -> Contents:
    """The sentences, the quantiles by age, and the triangle they are made from."""
    asked = asked if asked.get("tier") not in (None, ALL) else without(asked, "tier")
    asked = {"venue_kind": ALL, **asked}
    profile, triangle = readers.revision_profile(**asked), readers.revision_triangle(**asked)
    sections = [_said(asked), *_profile(profile, asked), _triangle(triangle, asked)]
    return Contents(sections, (), caveats_of(profile))


def _said(asked: Asked) -> Section:
    """What a person may rely on: one sentence for each tier, at four weeks."""
    tiers = [asked["tier"]] if "tier" in asked else [tier.value for tier in Tier]
    told = tuple(readers.revision_sentence(tier, asked["venue_kind"], AGES[3]) for tier in tiers)
    return Section(f"After {AGES[3]} days", sentences=told)


def _profile(profile: Result, asked: Asked) -> list[Section]:
    frame = profile.frame
    verified = frame.filter(pl.col("partitions_verified") > 0).sort("age_days")
    table = Columns(DATASETS["revision_profile"], PROFILE).table(frame, MOST)
    found = []
    for tier in verified["tier"].unique().sort().to_list():
        of_tier = verified.filter(pl.col("tier") == tier)
        drawn = lines(of_tier, "age_days", ["p50", "p90", "p99"], "moved since first publication", said=_said_value)
        found.append(Section(f"{tier}", "Quantiles by age in days, of the verified partitions", drawn))
    empty = "No partition has been first captured and checked yet: the profile begins with the first weeks captured on time."
    return [
        *found,
        Section("By age", DATASETS["revision_profile"].meaning, None, table, empty, downloads(profile, asked)),
    ]


def _triangle(triangle: Result, asked: Asked) -> Section:
    """Weeks down, ages across: what moved, or why that is not known."""
    frame = triangle.frame.sort("week_ending", "tier", descending=[True, False])
    ages = sorted(frame["age_days"].unique().to_list())
    lines_: dict[tuple[object, ...], dict[int, Cell]] = {}
    for record in frame.iter_rows(named=True):
        line = lines_.setdefault((record["week_ending"], record["tier"]), {})
        line[record["age_days"]] = _cell(record["value"], record["state"])
    headers = [Header("Week", "", is_number=False), Header("Tier", "", is_number=False)]
    headers += [Header(f"{age} d", f"{age} days after the due date", is_number=True) for age in ages]
    shown = [
        [Cell(f"{week}", market_links.of_market(week)), Cell(f"{tier}"), *(of.get(age, Cell("")) for age in ages)]  # type: ignore[arg-type]
        for (week, tier), of in list(lines_.items())[:MOST]
    ]
    table = Table(headers, shown, max(0, len(lines_) - MOST))
    return Section(
        "The triangle",
        "Each partition at each age; a word stands where it is not known, never nothing",
        None,
        table,
        "No partition is captured.",
        downloads(triangle, asked),
    )


def _cell(value: float | None, state: str) -> Cell:
    if value is not None:
        return Cell(_said_value(value), is_number=True)
    return Cell(state.replace("_", " ").lower(), title=SAID.get(state, ""), is_number=True)


def _said_value(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


PAGE = MarketPage(
    "market_revisions", "Revision profile", "How much does a week still move at a given age?", Form, build
)
