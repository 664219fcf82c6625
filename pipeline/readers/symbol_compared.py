"""A symbol compared: its venues with the week before, its row versions with those before, its tiers, two instants.

Made of the answers of `symbol_venues`, `symbol_history` and `row_history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from pipeline.finra.calendar import WEEK
from pipeline.readers.datasets.rows import ROW_HISTORY
from pipeline.readers.datasets.symbols import SYMBOL_AT_TWO, SYMBOL_VENUES, TIERS_HELD
from pipeline.readers.fields import SHARES, Dataset, count, real, shares
from pipeline.readers.first_vintages import VENUE
from pipeline.readers.kinds import HAS, captured_kinds
from pipeline.readers.questions import ALL
from pipeline.readers.result import Result
from pipeline.readers.symbol_history import symbol_history

BASIS_POINTS = 10_000
OF_SECURITY = ("week_ending", "tier", "symbol", "issue_name")
OF_VENUE = ("tier", "symbol", "issue_name", "venue_kind", "mpid", "crd", "venue")
ROW = ("week_ending", "tier", "symbol", "issue_name", "mpid", "crd", "venue", "product_type")
KEPT = ("shares", "trades")
TWO = ("shares", "ats_ratio", "hhi_ats")
NOT_HELD = "where the week before has no row of the security in the tier, or not the same kinds of venues"
FIRST = "of the first version of a row"
SYMBOL_SPLIT = Dataset(
    "symbol_split",
    "A symbol's venues beside the week before",
    SYMBOL_VENUES.meaning,
    (
        *SYMBOL_VENUES.fields,
        real("share_before", "the same in the week before", null=NOT_HELD),
        real("share_change_bp", "share - share_before", "basis points", null=NOT_HELD),
    ),
    SYMBOL_VENUES.key,
)
ROW_VERSIONS = Dataset(
    "row_versions",
    "Row versions beside the version before",
    ROW_HISTORY.meaning,
    (
        *ROW_HISTORY.fields,
        shares("shares_before", "the shares of the version before it", null=FIRST, kind=SHARES),
        count("trades_before", "the trades of the version before it", "trades", null=FIRST),
    ),
    ROW_HISTORY.key,
)


def beside_week_before(venues: Result, venue_kind: str = ALL) -> pl.DataFrame:
    """Rows of `symbol_venues`, each with the venue's part of the week before: share_before, share_change_bp.

    Null where that week has no row of the security in its tier, or not the same kinds of venues of those asked for: its
    parts are of another whole. A venue that had no row then had 0.
    """
    named = venues.frame.with_columns(VENUE)
    earlier = named.with_columns(pl.col("week_ending") + WEEK)
    was = earlier.select("week_ending", *OF_VENUE, pl.col("share").alias("share_before"))
    held = earlier.select(OF_SECURITY).unique().with_columns(pl.lit(value=True).alias("held"))
    kinds = captured_kinds(venues.meta.inputs)
    kinds_before = kinds.with_columns(pl.col("week_ending") + WEEK)
    joined = (
        named.join(was, on=["week_ending", *OF_VENUE], how="left")
        .join(held, on=OF_SECURITY, how="left")
        .join(kinds, on=["week_ending", "tier"], how="left")
        .join(kinds_before, on=["week_ending", "tier"], how="left", suffix="_before")
    )
    asked = [name for kind, name in HAS.items() if venue_kind in (kind, ALL)]
    compares = pl.all_horizontal(pl.col(name) == pl.col(f"{name}_before") for name in asked)
    known = pl.when(pl.col("held") & compares).then(pl.col("share_before").fill_null(0.0)).alias("share_before")
    change = ((pl.col("share") - pl.col("share_before")) * BASIS_POINTS).alias("share_change_bp")
    return joined.with_columns(known).with_columns(change).select(SYMBOL_SPLIT.names)


def tiers_held(venues: pl.DataFrame) -> pl.DataFrame:
    """The tiers of a security over the weeks of `symbol_venues` rows, the newest first: a line for each run of weeks."""
    weeks = (
        venues.select("symbol", "issue_name", "tier", "week_ending")
        .unique()
        .sort("symbol", "issue_name", "tier", "week_ending")
    )
    of = ("symbol", "issue_name", "tier")
    gap = (pl.col("week_ending") - pl.col("week_ending").shift()).over(of) > timedelta(days=WEEK.days)
    runs = weeks.with_columns(gap.fill_null(value=True).cum_sum().alias("run"))
    ends = pl.col("week_ending").min().alias("first_week"), pl.col("week_ending").max().alias("last_week")
    held = runs.group_by(*of, "run").agg(*ends, pl.len().cast(pl.Int64).alias("weeks"))
    return held.select(TIERS_HELD.names).cast(TIERS_HELD.schema).sort("last_week", "tier", descending=[True, False])


def beside_version_before(history: pl.DataFrame) -> pl.DataFrame:
    """Rows of `row_history`, each with the shares and trades of the version before it; null in the first of a row."""
    ordered = history.with_columns(VENUE).sort(*ROW, "first_version")
    before = (pl.col(name).shift().over(ROW).alias(f"{name}_before") for name in KEPT)
    return ordered.with_columns(*before).drop("venue")


def symbol_at_two(a: Mapping[str, Any], b: Mapping[str, Any], **asked: Any) -> pl.DataFrame:
    """A symbol by week as known at A and at B, each a selector; weeks that only one has are there, too."""
    key = ["week_ending", "symbol", "issue_name"]
    sides = [
        symbol_history(**{**asked, **known}).frame.select(*key, *(pl.col(name).alias(f"{name}_{side}") for name in TWO))
        for side, known in (("a", a), ("b", b))
    ]
    both = sides[0].join(sides[1], on=key, how="full", coalesce=True)
    change = (pl.col("shares_b") - pl.col("shares_a")).alias("shares_change")
    return both.with_columns(change).select(SYMBOL_AT_TWO.names).cast(SYMBOL_AT_TWO.schema).sort(key)
