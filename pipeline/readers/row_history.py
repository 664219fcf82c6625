"""Row versions: what each row said, and from when until when it was known to say so.

A version runs over all vintages that follow each other and have the row with the same figures: [known_from, known_to), never
cut to what was asked for. The name of an ATS is not part of its content: it makes no version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby, pairwise
from typing import Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import MONDAY_TO_FRIDAY
from pipeline.finra.rows import FIGURES, FIRM, KEY
from pipeline.models import Capture
from pipeline.readers.caveats import listed, of_missing
from pipeline.readers.chosen import Chosen, choose
from pipeline.readers.datasets.rows import ROW_HISTORY
from pipeline.readers.keywords import Asked
from pipeline.readers.known import require_known
from pipeline.readers.meta import Caveat, meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Result
from pipeline.readers.rows import conditions
from pipeline.readers.selectors import SelectorKind
from pipeline.readers.table import Table
from pipeline.readers.values import invalid
from pipeline.vintages import read

AT_ONCE = 130  # partitions, those of a year: one scan over their files
OF_PARTITION = ("week_ending", "tier")
NUMBER, PLACE, RUN = "number", "place", "run"
INSTANT = pl.Datetime("us", "UTC")


@answering
def row_history(**asked: Unpack[Asked]) -> Result:
    """The versions of the rows of a symbol or a venue. With `as_of`, of what was known by then."""
    question = question_of(asked)
    if not question.symbols and not question.venue.is_asked:
        raise invalid("symbol", "row_history is asked for a symbol, or for a venue: give symbol, mpid or venue_name")
    if question.selector.kind not in (SelectorKind.LATEST, SelectorKind.AS_OF, SelectorKind.POSITION):
        raise invalid(question.selector.kind.value, "row_history has all vintages: it takes as_of, or no selector")
    chains = Chains.of(question)
    meta = meta_of(ROW_HISTORY.name, question, Chosen(tuple(chains.kept), chains.chosen.missing))
    return Result(ROW_HISTORY, meta, chains.caveats, Table(ROW_HISTORY, chains.read))


@dataclass(frozen=True)
class Chains:
    """All vintages of the partitions that a question is about, as far as they were known."""

    question: Question
    chosen: Chosen
    captures: tuple[Capture, ...]

    @classmethod
    def of(cls, question: Question) -> Chains:
        """Those of a question. ReadersError as `choose`."""
        chosen = choose(question)
        newest = {capture.partition_id: capture.version for capture in chosen.captures}
        every = Capture.objects.normalized().filter(partition__in=newest).select_related("partition")
        known = [one for one in every.order_by("version") if one.version <= newest[one.partition_id]]
        return cls(question, chosen, tuple(sorted(known, key=lambda one: (one.partition.key, one.version))))

    @cached_property
    def kept(self) -> list[Capture]:
        """Those whose rows are kept."""
        return [capture for capture in self.captures if capture.pruned_at is None]

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """That versions are not known where retention has removed vintages."""
        pruned = [str(capture) for capture in self.captures if capture.pruned_at is not None]
        told = f"the rows of {listed(pruned)} have been given up: what they alone had is not in the answer"
        return (*([Caveat("pruned", told)] if pruned else []), *of_missing(self.chosen))

    def read(self) -> pl.DataFrame:
        """The row versions. ReadersError for a symbol or a venue that was never seen."""
        found = pl.concat([ROW_HISTORY.schema.to_frame(), *self._versions()])
        require_known(self.question, found)
        return found

    def _versions(self) -> Iterator[pl.DataFrame]:
        chains = [list(one) for _, one in groupby(self.kept, key=lambda capture: capture.partition_id)]
        for at in range(0, len(chains), AT_ONCE):
            yield versions_of(list(chain.from_iterable(chains[at : at + AT_ONCE])), conditions(self.question))


def versions_of(captures: Sequence[Capture], wanted: Collection[pl.Expr] = ()) -> pl.DataFrame:
    """The row versions of kept vintages, of the rows that are wanted: one scan over their files. ReadersError.

    The vintages of a partition follow each other, the oldest first.
    """
    with reading(captures):
        found = read.of_captures(captures, numbered=NUMBER).filter(*wanted).with_columns(FIRM).collect()
    return _named(_runs(found.with_columns(_places(found[NUMBER], captures))), captures)


def _places(numbers: pl.Series, captures: Sequence[Capture]) -> pl.Series:
    """The place among the vintages of the one that each row is from, by its number among the rows of all."""
    first_numbers = pl.Series(list(accumulate((one.rows_kept for one in captures), initial=0)), dtype=pl.UInt32)
    return (first_numbers.search_sorted(numbers, side="right").cast(pl.Int64) - 1).alias(PLACE)


def _runs(found: pl.DataFrame) -> pl.DataFrame:
    """Each row once for each run of vintages that follow each other and have it with the same figures."""
    ordered = found.sort(*OF_PARTITION, *KEY, PLACE)
    same_key = pl.all_horizontal(pl.col(column).eq_missing(pl.col(column).shift()) for column in (*OF_PARTITION, *KEY))
    same_figures = pl.all_horizontal(pl.col(column).eq_missing(pl.col(column).shift()) for column in FIGURES)
    goes_on = same_key & same_figures & (pl.col(PLACE) == pl.col(PLACE).shift() + 1)
    runs = ordered.with_columns((~goes_on.fill_null(value=False)).cum_sum().alias(RUN))
    ends = pl.col(PLACE).first().alias("first"), pl.col(PLACE).last().alias("last")
    return runs.group_by(RUN, maintain_order=True).agg(pl.exclude(PLACE, RUN, NUMBER).last(), *ends)


def _named(runs: pl.DataFrame, captures: Sequence[Capture]) -> pl.DataFrame:
    """With versions and instants in the place of the vintages' places."""
    followed = [one.partition_id == after.partition_id for one, after in pairwise(captures)] + [False] * bool(captures)
    versions = pl.Series([capture.version for capture in captures], dtype=pl.Int64)
    known = pl.Series([capture.normalized_at for capture in captures], dtype=INSTANT)
    first, last = runs["first"], runs["last"]
    is_followed = pl.Series(followed, dtype=pl.Boolean).gather(last)
    return runs.with_columns(
        (pl.col("week_ending") - MONDAY_TO_FRIDAY).alias("week_start"),
        versions.gather(first).alias("first_version"),
        pl.when(is_followed).then(versions.gather(last)).alias("last_version"),
        known.gather(first).alias("known_from"),
        pl.when(is_followed).then(known.shift(-1).gather(last)).alias("known_to"),
    ).select(ROW_HISTORY.names)
