"""The largest ATSs of a week, and the others together, over the weeks before it."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from pipeline.readers.venues import venue_weeks

OTHERS = "others"


def largest_ats_shares(week: date, top: int, **asked: Any) -> pl.DataFrame:
    """The share of ATS volume (0-1) of the largest of a week and of the others, by week: week_ending, mpid, share.

    In the order of weeks and of ranks in `week`, the others last. `asked` has the keywords of the weeks and of one scope.
    """
    venues = venue_weeks(**{**asked, "venue_kind": "ATS"})
    leaders = venues.filter(pl.col("week_ending") == week).sort("rank", "mpid").head(top)
    place = leaders.select("mpid", pl.int_range(pl.len()).alias("place"))
    named = venues.join(place, on="mpid", how="left").with_columns(
        pl.when(pl.col("place").is_null()).then(pl.lit(OTHERS)).otherwise("mpid").alias("mpid"),
        pl.col("place").fill_null(top),
    )
    summed = named.group_by("week_ending", "mpid", "place").agg(pl.col("share").sum())
    return summed.sort("week_ending", "place").select("week_ending", "mpid", "share")
