"""The securities that a venue traded in one week: its share and rank in each, and the change on the week before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Unpack

import polars as pl

from pipeline.finra.calendar import MONDAY_TO_FRIDAY, WEEK, PartitionKey
from pipeline.finra.rows import FIRM
from pipeline.models import Capture
from pipeline.readers import caveats
from pipeline.readers.chosen import Chosen, choose, vintages
from pipeline.readers.datasets.venues import VENUE_SYMBOLS
from pipeline.readers.fields import SUM
from pipeline.readers.figures import newest_week
from pipeline.readers.keywords import VenuesAsked
from pipeline.readers.kinds import IS_CAPTURED, captured_kinds
from pipeline.readers.known import require_known_venue
from pipeline.readers.meta import Input, meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Result
from pipeline.readers.rows import conditions, of_venue
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import Table
from pipeline.readers.values import count, invalid
from pipeline.vintages import read

CELL = ("tier", "symbol", "issue_name", "venue_kind", "mpid", "crd", "firm")
WITHIN = ("tier", "symbol", "issue_name", "venue_kind")
ABSENT = "the venue has no row in this week, though it is known"


class VenueSymbolsAsked(VenuesAsked, total=False):
    """A venue and a week, and how many of its securities."""

    top: int | str


@answering
def venue_symbols(**asked: Unpack[VenueSymbolsAsked]) -> Result:
    """The securities that a venue traded in one week: give its mpid, crd or venue_name; by default the newest week."""
    question = newest_week(question_of(asked))
    if not question.venue.is_asked:
        raise invalid("mpid", "venue_symbols is of a venue: give mpid, crd or venue_name")
    if len(question.weeks.listed) > 1:
        raise invalid("week_ending", "venue_symbols is of one week: give one week_ending")
    top = count("top", asked["top"], least=1) if asked.get("top") is not None else None
    chosen = choose(question)
    before = _week_before(question, chosen)
    meta = meta_of(VENUE_SYMBOLS.name, question, chosen, None, (top, [one.capture_id for one in before]))
    table = Table(VENUE_SYMBOLS, lambda: _rows(question, chosen, before, top), ABSENT)
    return Result(VENUE_SYMBOLS, meta, caveats.of_rows(chosen), table)


def _week_before(question: Question, chosen: Chosen) -> list[Capture]:
    """The vintages of the week before, by the same selector; none where one capture is asked for by its name."""
    if question.selector.kind is SelectorKind.CAPTURE:
        return []
    keys = [one.partition.key for one in chosen.captures]
    earlier = [PartitionKey(key.week_ending - WEEK, key.tier) for key in keys]
    return [one for one in vintages(earlier, question.selector) if one.pruned_at is None]


def _rows(question: Question, chosen: Chosen, before: Collection[Capture], top: int | None) -> pl.DataFrame:
    """The venue's securities. ReadersError for a venue that was never seen."""
    cells = _places(question, chosen.captures)
    require_known_venue(question, cells)
    if cells.is_empty():
        return VENUE_SYMBOLS.schema.to_frame()
    was = _volumes(question, before).rename({"shares": "shares_before"}).select(*CELL, "shares_before")
    known = pl.when(IS_CAPTURED).then(pl.col("shares_before").fill_null(0)).alias("shares_before")
    kinds = captured_kinds(map(Input.of_capture, before)).drop("week_ending")
    joined = cells.join(was, on=CELL, how="left").join(kinds, on="tier", how="left")
    found = joined.with_columns(known).sort("shares", *CELL, descending=[True, *[False] * len(CELL)])
    shown = found if top is None else found.head(top)
    return shown.with_columns(
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        pl.when(pl.col("trades") > 0)
        .then(pl.col("shares").cast(pl.Float64) / pl.col("trades"))
        .alias("average_trade_size"),
        (pl.col("shares") - pl.col("shares_before")).alias("shares_change"),
    )


def _places(question: Question, captures: Collection[Capture]) -> pl.DataFrame:
    """The venue's volume in each security, with its part of and its place among the venues of its kind."""
    with reading(captures):
        rows = read.of_captures(captures)
        mine = rows.filter(*conditions(question))
        securities = mine.select(WITHIN).unique()
        found = _cells(rows.join(securities, on=WITHIN, how="semi")).collect()
    total = pl.col("shares").sum().over(WITHIN).cast(pl.Float64)
    placed = found.with_columns(
        pl.when(total > 0).then(pl.col("shares").cast(pl.Float64) / total).alias("share_of_symbol"),
        pl.col("shares").rank("min", descending=True).over(WITHIN).alias("rank"),
        pl.len().over(WITHIN).alias("venues"),
    )
    return placed.filter(*of_venue(question))


def _volumes(question: Question, captures: Collection[Capture]) -> pl.DataFrame:
    """The venue's volume in each security."""
    with reading(captures):
        return _cells(read.of_captures(captures).filter(*conditions(question))).collect()


def _cells(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Each venue once for each security: rows that differ in product type alone are added up."""
    summed = (pl.col("venue_name").max(), pl.col("shares").cast(SUM).sum(), pl.col("trades").sum())
    return rows.with_columns(FIRM).group_by("week_ending", *CELL).agg(*summed)
