"""FINRA's own clock: what was published by a day, as far as later vintages tell. A backfill captures years in one day.

Of each partition the first vintage that was captured after that day is read, or the newest where none was: a row that it
gives with a lastUpdateDate of that day or earlier was published so then. What a row with a later date said is not known,
nor are the rows that FINRA removed before that vintage was captured: they are counted where a vintage tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from pipeline.finra.calendar import is_due, market_today
from pipeline.finra.rows import FIRM, KEY
from pipeline.models import Capture
from pipeline.models.capture import CaptureQuerySet
from pipeline.readers.questions import Question
from pipeline.readers.reading import reading
from pipeline.readers.selectors import Selector, SelectorKind
from pipeline.vintages import read


@dataclass(frozen=True, slots=True)
class Unknown:
    """What an answer by FINRA's clock lacks, of the rows that are asked for.

    `revised_later`: rows whose lastUpdateDate is after the day, which are not in the answer; `removed_later`: rows of the
    vintage known on the day that the one read has no more; `not_seen_before`: partitions without a vintage of before, whose
    removed rows cannot be counted.
    """

    revised_later: int
    removed_later: int
    not_seen_before: int


def is_published(question: Question) -> bool:
    """Whether FINRA's clock is asked for."""
    return question.selector.kind is SelectorKind.PUBLISHED


def day_of(selector: Selector) -> date:
    """The day by which rows have to be published: that of the instant, in New York."""
    return market_today(selector.as_of)


def vintages(known: CaptureQuerySet, instant: datetime) -> list[Capture]:
    """The vintage that is read of each partition that was due by the day of the instant."""
    chains: dict[int, list[Capture]] = {}
    for capture in known.standing().order_by("version"):
        if is_due(capture.partition.key, market_today(instant)):
            chains.setdefault(capture.partition_id, []).append(capture)
    return [_of_chain(chain, instant) for chain in chains.values()]


def _of_chain(chain: Sequence[Capture], instant: datetime) -> Capture:
    """The first one after the instant; the newest where there is none."""
    later = [one for one in chain if one.captured_at > instant and one.pruned_at is None]
    return later[0] if later else chain[-1]


def condition(selector: Selector) -> pl.Expr:
    """That a row was published as it is."""
    return pl.col("last_update_date") <= day_of(selector)


def counting(
    question: Question, captures: Sequence[Capture], wanted: Sequence[pl.Expr]
) -> Callable[[], Unknown] | None:
    """What counts that, where FINRA's clock is asked for."""
    return (lambda: unknown(captures, question.selector, wanted)) if is_published(question) else None


def unknown(captures: Sequence[Capture], selector: Selector, wanted: Sequence[pl.Expr]) -> Unknown:
    """What an answer of these vintages lacks of the rows that are `wanted`. ReadersError."""
    revised = _count(captures, [*wanted, ~condition(selector)])
    before = known_before(captures, selector)
    removed = sum(_removed(before[one.partition_id], one, wanted) for one in captures if one.partition_id in before)
    return Unknown(revised, removed, sum(one.partition_id not in before for one in captures))


def follows_from(question: Question, captures: Sequence[Capture]) -> list[str]:
    """What the counts follow from beside the vintages that are read: those known before, which may be pruned or annulled."""
    if not is_published(question):
        return []
    return sorted(one.capture_id for one in known_before(captures, question.selector).values())


def known_before(captures: Sequence[Capture], selector: Selector) -> dict[int, Capture]:
    """The vintage of each partition that was known at the instant, and is kept; of those that have one."""
    known = (
        Capture.objects.normalized()
        .standing()
        .filter(
            partition__in={one.partition_id for one in captures},
            captured_at__lte=selector.as_of,
            pruned_at__isnull=True,
        )
    )
    return {one.partition_id: one for one in known.select_related("partition").order_by("version")}


def _count(captures: Sequence[Capture], wanted: Sequence[pl.Expr]) -> int:
    with reading(captures):
        number: int = read.of_captures(list(captures)).filter(*wanted).select(pl.len()).collect().item()
    return number


def _removed(before: Capture, after: Capture, wanted: Sequence[pl.Expr]) -> int:
    """How many rows the earlier vintage has that the later one has no more."""
    if before.pk == after.pk:
        return 0
    with reading((before, after)):
        were, are = (
            read.of_capture(one).filter(*wanted).select(FIRM if name == "firm" else pl.col(name) for name in KEY)
            for one in (before, after)
        )
        number: int = were.join(are, on=list(KEY), how="anti", nulls_equal=True).select(pl.len()).collect().item()
    return number
