"""Which kinds of venues are captured. Of another kind it is not known what it traded: a zero would say that it is."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipeline.finra.rows import ATS, NON_ATS
from pipeline.readers.meta import Input
from pipeline.readers.questions import ALL

HAS = {ATS: "has_ats", NON_ATS: "has_non_ats"}  # the column of each kind
IS_CAPTURED = pl.when(pl.col("venue_kind") == ATS).then(HAS[ATS]).otherwise(HAS[NON_ATS])


def captured_kinds(inputs: Iterable[Input]) -> pl.DataFrame:
    """Whether each kind is captured: week_ending, tier, and the columns of HAS. Over ALL tiers: whether each tier has it."""
    rows = [
        (one.week_ending, tier, *(kind in one.venue_kinds for kind in HAS))
        for one in inputs
        for tier in (one.tier, ALL)
    ]
    schema = {"week_ending": pl.Date, "tier": pl.String, **dict.fromkeys(HAS.values(), pl.Boolean)}
    frame = pl.DataFrame(rows, schema, orient="row")
    return frame.group_by("week_ending", "tier").agg(pl.col(*HAS.values()).all())
