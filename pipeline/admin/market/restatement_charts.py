"""The charts of restatements: how much each moved at which age, and how many became known by week."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.admin.market.series import bars
from pipeline.admin.shared import figures, market_links
from pipeline.admin.shared.charts import AXIS, COLOURS, Chart, options_of
from pipeline.finra.calendar import Tier

SMALLEST, LARGEST = 4, 18  # radii in pixels; the area of a circle is as its rows
PERCENT = 100
ROWS = pl.sum_horizontal("rows_added", "rows_changed", "rows_removed")
Record = Mapping[str, Any]


def by_age(feed: pl.DataFrame) -> Chart:
    """A circle for each restatement: its age, the part of the shares that moved, its rows, its tier's colour."""
    known = feed.filter(pl.col("gross_change_ratio").is_not_null()).with_columns(ROWS.alias("rows"))
    most = max(known["rows"].to_list(), default=1) or 1
    datasets = [_of_tier(known.filter(pl.col("tier") == tier.value), tier, at, most) for at, tier in enumerate(Tier)]
    options = options_of("% of the shares moved")
    options["interaction"] = {"mode": "nearest", "intersect": True}
    options["scales"]["x"] |= {"type": "linear", "title": {"display": True, "text": "age, days", "color": AXIS}}
    headers = ["Week", "Tier", "Age, days", "Rows", "Shares moved"]
    lines = [_line(record) for record in known.sort("age_days", "week_ending", "tier").iter_rows(named=True)]
    urls = {week.isoformat(): market_links.of_market(week) for week in known["week_ending"].unique().to_list()}
    return Chart("bubble", json.dumps({"datasets": datasets}), json.dumps(options), headers, lines, urls)


def _of_tier(found: pl.DataFrame, tier: Tier, at: int, most: int) -> dict[str, Any]:
    circles = [
        {"x": one["age_days"], "y": one["gross_change_ratio"] * PERCENT, "r": _radius(one["rows"], most)}
        for one in found.iter_rows(named=True)
    ]
    colour = COLOURS[at]
    return {"label": tier.value, "data": circles, "borderColor": colour, "backgroundColor": f"{colour}99"}


def _radius(rows: int, most: int) -> float:
    return round(SMALLEST + (LARGEST - SMALLEST) * math.sqrt(rows / most), 1)


def _line(record: Record) -> list[str]:
    counts = figures.number(record["age_days"]), figures.number(record["rows"])
    return [f"{record['week_ending']}", record["tier"], *counts, figures.percent(record["gross_change_ratio"])]


def by_week(feed: pl.DataFrame) -> Chart:
    """How many became known, by the Monday of the week, a colour for each tier."""
    weeks = pl.col("occurred_at").dt.date().dt.truncate("1w").cast(pl.String).alias("known in the week of")
    counted = feed.group_by(weeks, "tier").agg(pl.len().alias("number"))
    wide = counted.pivot("tier", index="known in the week of", values="number").sort("known in the week of")
    tiers = [tier.value for tier in Tier if tier.value in wide.columns]
    return bars(wide.fill_null(0), "known in the week of", tiers, "restatements", said=figures.number)
