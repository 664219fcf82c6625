"""The rows in which two vintages of a partition differ, before and after, those that moved most first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Unpack

import polars as pl
from django.utils.functional import cached_property

from pipeline.finra.calendar import MONDAY_TO_FRIDAY
from pipeline.finra.rows import FIGURES
from pipeline.models import Capture
from pipeline.readers.chosen import Chosen, capture_named, choose, of_the_question
from pipeline.readers.datasets.rows import DIFFERENCES
from pipeline.readers.fields import SUM
from pipeline.readers.keywords import WeeksAsked
from pipeline.readers.meta import meta_of
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, VenueKinds, Weeks, question_of
from pipeline.readers.reading import reading
from pipeline.readers.result import Result
from pipeline.readers.rows import one_of
from pipeline.readers.selectors import LATEST, Selector, SelectorKind
from pipeline.readers.table import Table
from pipeline.readers.values import choices, instant, invalid, shares
from pipeline.vintages import compare
from pipeline.vintages.compare import MOVED, ChangeKind, Difference

NOTHING = Decimal(0)


class DifferencesAsked(WeeksAsked, total=False):
    """Two vintages, and filters of the rows that differ."""

    from_capture: str
    to_capture: str
    from_as_of: datetime | date | str
    to_as_of: datetime | date | str
    change: str | Sequence[str]
    min_change: str | int | Decimal
    venue_kind: str
    symbol: str | Sequence[str]
    mpid: str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The compared captures, before and after, by their ids."""

    compared: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole difference of two vintages, whatever rows are asked for. `gross_change`: shares that moved, either way.

    `changed_without_last_update`: rows with other figures and the same lastUpdateDate; `touched_without_change`: rows with
    another date only.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    shares_before: Decimal = NOTHING
    shares_after: Decimal = NOTHING
    gross_change: Decimal = NOTHING
    changed_without_last_update: int = 0
    touched_without_change: int = 0


@answering
def differences(**asked: Unpack[DifferencesAsked]) -> Result:
    """The rows that changed between two captures of a partition, or between two instants.

    With `to_capture` alone, from the vintage before it; with `from_as_of` alone, until now. Two instants are compared in all
    captured weeks, unless some are asked for. ReadersError.
    """
    question = question_of(asked)
    pairs = _pairs(asked, question)
    wanted = _wanted(question, choices("change", asked.get("change"), ChangeKind), asked.get("min_change"))
    chosen = Chosen(tuple(capture for pair in pairs for capture in pair), ())
    facts = Pairs(tuple((before.capture_id, after.capture_id) for before, after in pairs))
    meta = meta_of(DIFFERENCES.name, question, chosen, facts, [str(one) for one in wanted])
    meta = replace(meta, selector=_pinned(asked, meta.selector))
    compared = Compared(tuple(pairs), tuple(wanted))
    table = Table(DIFFERENCES, compared.rows, "nothing differs", ("shares_moved",), ("shares_moved",))
    return Result(DIFFERENCES, meta, (), table, summing=compared.summary)


def _pairs(asked: DifferencesAsked, question: Question) -> list[tuple[Capture, Capture]]:
    """The captures to compare, before and after."""
    by_capture = asked.get("from_capture") is not None or asked.get("to_capture") is not None
    by_instant = asked.get("from_as_of") is not None or asked.get("to_as_of") is not None
    if by_capture == by_instant:
        raise invalid("from_capture", "give from_capture and to_capture, or from_as_of and to_as_of")
    return [_two_captures(asked, question)] if by_capture else list(_at_two_instants(asked, question))


def _two_captures(asked: DifferencesAsked, question: Question) -> tuple[Capture, Capture]:
    if asked.get("to_capture") is None:
        raise invalid("to_capture", "from_capture needs the later capture, to_capture")
    after = of_the_question(capture_named(asked["to_capture"], "to_capture"), question, "to_capture")
    if asked.get("from_capture") is None:
        return _before(after), after
    before = capture_named(asked["from_capture"], "from_capture")
    if before.partition_id != after.partition_id:
        raise invalid("to_capture", f"{before} and {after} are captures of two partitions: there is nothing to compare")
    return before, after


def _before(capture: Capture) -> Capture:
    """The vintage before a capture. ReadersError where there is none, or its rows have been given up."""
    earlier = Capture.objects.normalized().filter(partition=capture.partition, version__lt=capture.version)
    before = earlier.order_by("-version").first()
    if before is None:
        raise invalid("to_capture", f"{capture} is the first of its partition: nothing is before it")
    return capture_named(before.capture_id, "to_capture")


def _at_two_instants(asked: DifferencesAsked, question: Question) -> Iterator[tuple[Capture, Capture]]:
    if asked.get("from_as_of") is None:
        raise invalid("from_as_of", "to_as_of needs the earlier instant, from_as_of")
    since = Selector(kind=SelectorKind.AS_OF, as_of=instant("from_as_of", asked["from_as_of"]))
    until = (
        Selector(kind=SelectorKind.AS_OF, as_of=instant("to_as_of", asked["to_as_of"]))
        if asked.get("to_as_of") is not None
        else LATEST
    )
    if question.weeks == Weeks():
        question = replace(question, weeks=Weeks(every=True))
    were = {one.partition.key: one for one in choose(replace(question, selector=since)).captures}
    for after in choose(replace(question, selector=until)).captures:
        before = were.get(after.partition.key)
        if before is not None and before.pk != after.pk:
            yield before, after


def _pinned(asked: DifferencesAsked, selector: Selector) -> Selector:
    """The selector, pinned: the difference of two captures, or of two instants, is the same for ever."""
    until = asked.get("to_capture") or asked.get("to_as_of")
    return Selector(kind=SelectorKind.CAPTURE, capture=str(until)) if until is not None else selector


def _wanted(question: Question, kinds: Sequence[ChangeKind], least: str | int | Decimal | None) -> list[pl.Expr]:
    """The conditions on a row."""
    found = [pl.col("change").is_in([kind.value for kind in kinds])] if kinds else []
    if question.venue_kind is not VenueKinds.ALL:
        found.append(pl.col("venue_kind") == question.venue_kind.value)
    if question.symbols:
        found.append(one_of("symbol", question.symbols))
    if question.venue.mpids:
        found.append(one_of("mpid", question.venue.mpids))
    if least is not None:
        found.append(pl.col("shares_moved") >= pl.lit(shares("min_change", least), SUM))
    return found


@dataclass(frozen=True)
class Compared:
    """Pairs of vintages, compared once, when their rows are asked for."""

    pairs: tuple[tuple[Capture, Capture], ...]
    wanted: tuple[pl.Expr, ...]

    @cached_property
    def differences(self) -> list[Difference]:
        """The difference of each pair. ReadersError."""
        found = []
        for pair in self.pairs:
            with reading(pair):
                found.append(compare.compare(*pair))
        return found

    @cached_property
    def every_row(self) -> pl.DataFrame:
        """The rows that differ."""
        return pl.concat([DIFFERENCES.schema.to_frame(), *map(_shown, self.differences)])

    def rows(self) -> pl.DataFrame:
        """The rows that differ and are wanted."""
        return self.every_row.filter(*self.wanted)

    def summary(self) -> Summary:
        """The whole difference of the pairs."""
        changes = [one.changes for one in self.differences]
        changed = self.every_row.filter(pl.col("change") == ChangeKind.CHANGED.value)
        same_date = pl.col("last_update_date_before").eq_missing(pl.col("last_update_date_after"))
        same_figures = pl.all_horizontal(
            pl.col(f"{name}_before").eq_missing(pl.col(f"{name}_after")) for name in ("shares", "trades", "notional")
        )
        return Summary(
            sum(one.added for one in changes),
            changed.height,
            sum(one.removed for one in changes),
            sum(one.unchanged for one in changes),
            sum((Decimal(before.shares or 0) for before, _ in self.pairs), NOTHING),
            sum((Decimal(after.shares or 0) for _, after in self.pairs), NOTHING),
            Decimal(self.every_row["shares_moved"].sum() or 0),
            changed.filter(same_date).height,
            changed.filter(same_figures & ~same_date).height,
        )


def _shown(difference: Difference) -> pl.DataFrame:
    """The rows in which a pair differs, with the columns of the dataset."""
    key = difference.after.partition.key
    before, after = pl.col("before_shares").cast(SUM), pl.col("after_shares").cast(SUM)
    sides = [pl.col(f"{side}_{figure}").alias(f"{figure}_{side}") for figure in FIGURES for side in ("before", "after")]
    relative = (after - before).cast(pl.Float64) / before.cast(pl.Float64)
    return (
        difference.changes.rows.with_columns(
            pl.lit(key.week_ending).alias("week_ending"),
            pl.lit(key.week_ending - MONDAY_TO_FRIDAY).alias("week_start"),
            pl.lit(key.tier.value).alias("tier"),
            pl.col("kind").alias("change"),
            *sides,
            (after.fill_null(0) - before.fill_null(0)).cast(SUM).alias("shares_change"),
            MOVED.cast(SUM).alias("shares_moved"),
            pl.when(before > 0).then(relative).alias("relative_change"),
            pl.lit(difference.before.capture_id).alias("capture_id_before"),
            pl.lit(difference.after.capture_id).alias("capture_id_after"),
        )
        .select(DIFFERENCES.names)
        .cast(DIFFERENCES.schema)
    )
