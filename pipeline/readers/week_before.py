"""Venues of the week before that are in the week no more: what a leaderboard, which has the week's own, cannot show."""

from __future__ import annotations

from typing import Unpack

import polars as pl

from pipeline.readers.datasets.venues import VENUES
from pipeline.readers.figures import Figured, newest_week
from pipeline.readers.first_vintages import IDENTITY, VENUE
from pipeline.readers.keywords import Asked
from pipeline.readers.market import IS_POOL, with_days
from pipeline.readers.questions import VenueKinds, question_of
from pipeline.readers.venues import Leaderboard

ONLY_NOW = ("rank_before", "rank_change", "share_before", "share_change_bp", "share_first_published")


def departed_venues(**asked: Unpack[Asked]) -> pl.DataFrame:
    """The venues of the week before that the week has not, as `venues` has them there; none where the two do not compare.

    They are of the question that `venues` takes; their changes are null.
    """
    board = Leaderboard.of(newest_week(question_of(asked)))
    if board.before is None or board.comparison is None or not board.comparison.comparable:
        return VENUES.schema.to_frame()
    gone = _of(board.before).join(_of(board.now), on=IDENTITY, how="anti")
    lacking = [pl.lit(None).alias(name) for name in ONLY_NOW]
    named = with_days(gone).with_columns(pl.col("scope").alias("tier"), IS_POOL.alias("is_pool"), *lacking)
    return named.select(VENUES.names).cast(VENUES.schema).sort("shares", descending=True)


def _of(found: Figured) -> pl.DataFrame:
    """The venues of a week, of the scopes and the kind that are asked for."""
    kind = found.question.venue_kind
    wanted = [pl.col("scope").is_in(found.scopes)]
    wanted += [pl.col("venue_kind") == kind.value] if kind is not VenueKinds.ALL else []
    return found.figures.venues().filter(*wanted).with_columns(VENUE)
