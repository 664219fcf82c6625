"""The moves between two answers about a week: volume, share and rank of each venue, and the concentration."""

from __future__ import annotations

import polars as pl

from pipeline.readers import Result

FIRM = pl.when(pl.col("mpid") == "").then("venue_name").otherwise(pl.lit("")).alias("firm")
VENUE = ("tier", "venue_kind", "mpid", "crd", "firm")  # the name of an ATS does not tell it apart
FIGURES = ("venue_name", "shares", "trades", "share", "rank")
SCOPE = ("tier", "venue_kind")
CONCENTRATION = ("hhi_low", "hhi_high")
AFTER = "_after"


def venue_moves(before: Result, after: Result) -> pl.DataFrame:
    """The venues of both sides, the largest move first: VENUE, FIGURES before and, with `_after`, after.

    `venue_name` is the newer one; `moved` is the change of the share (0-1), where a missing venue counts as 0. It is null
    where a side has no venue of the kind in the tier: what they traded is not known there.
    """
    sides = [one.frame.select("tier", "venue_kind", "mpid", "crd", FIRM, *FIGURES) for one in (before, after)]
    both = _joined(sides, VENUE)
    share, share_after = (_share(name) for name in ("share", f"share{AFTER}"))
    return both.with_columns(
        (share_after - share).alias("moved"), pl.coalesce(f"venue_name{AFTER}", "venue_name").alias("venue_name")
    ).sort(pl.col("moved").abs(), *VENUE, descending=[True, *[False] * len(VENUE)], nulls_last=True)


def _share(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().any().over(SCOPE)).then(pl.col(name).fill_null(0.0))


def only_moved(venues: pl.DataFrame) -> pl.DataFrame:
    """The venues whose volume, trades or share differ between the sides."""
    same = (pl.col(name).eq_missing(pl.col(f"{name}{AFTER}")) for name in ("shares", "trades", "share"))
    return venues.filter(~pl.all_horizontal(same))


def concentration_moves(before: Result, after: Result) -> pl.DataFrame:
    """The market's concentration on both sides: ATS, non-ATS, both; null where one was not computed."""
    sides = [one.frame.select(*SCOPE, *CONCENTRATION) for one in (before, after)]
    order = pl.col("venue_kind").replace_strict({"ATS": 0, "NON_ATS": 1}, default=2, return_dtype=pl.Int8)
    return _joined(sides, SCOPE).sort("tier", order)


def _joined(sides: list[pl.DataFrame], on: tuple[str, ...]) -> pl.DataFrame:
    return sides[0].join(sides[1], on=on, how="full", coalesce=True, suffix=AFTER)
