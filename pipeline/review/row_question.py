"""A question about rows, and the vintages in which its answer may be, chosen by the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Exists, OuterRef

from pipeline.finra.calendar import Tier
from pipeline.models import Capture, Partition
from pipeline.review.row_order import Place
from pipeline.vintages import read

WEEKS_OF_A_WORD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuestion:
    """A question about rows. `instant` None asks for the latest rows; `place` is where the page before ended.

    `capture` asks for one vintage, whatever the week and the tier; `before` for weeks older than that.
    """

    symbol: str = ""
    issue: str = ""
    venue: str = ""
    week_ending: date | None = None
    tier: str = ""
    instant: datetime | None = None
    capture: Capture | None = None
    place: Place | None = None
    before: date | None = None

    @property
    def weeks(self) -> int:
        """How many weeks are searched at a time, but for a symbol."""
        return WEEKS_OF_A_WORD if self.symbol or self.issue or self.venue else 1


def vintages_of(question: RowQuestion) -> list[Capture]:
    """The vintages in which the answer may be, the newest week first; those, too, whose rows have been given up."""
    if question.capture is not None:
        return [question.capture]
    return sorted(_captures(_partitions(question), question.instant), key=_newest_first)


def _newest_first(capture: Capture) -> tuple[int, str]:
    return -capture.partition.week_ending.toordinal(), capture.partition.tier


def _partitions(question: RowQuestion) -> list[Partition]:
    """The partitions that may have rows that fit, newest first: those of a week more than is searched, unless of all."""
    found = Partition.objects.filter(latest__isnull=False).order_by("-week_ending", "tier").select_related("latest")
    if question.week_ending:
        found = found.filter(week_ending=question.week_ending)
    if question.tier:
        found = found.filter(tier=question.tier)
    if question.instant:
        found = found.filter(
            Exists(Capture.objects.filter(partition=OuterRef("pk"), normalized_at__lte=question.instant))
        )
    if question.before:
        found = found.filter(week_ending__lt=question.before)
    return list(found if question.symbol else found[: (question.weeks + 1) * len(Tier)])


def _captures(partitions: Iterable[Partition], instant: datetime | None) -> list[Capture]:
    """The newest normalized capture of each partition, or that of an instant."""
    if instant is not None:
        return read.captures_as_of(instant, [partition.key for partition in partitions])
    captures = []
    for partition in partitions:
        if (latest := partition.latest) is not None:
            latest.partition = partition  # which saves a query for each
            captures.append(latest)
    return captures


def newest_weeks(captures: Sequence[Capture], number: int) -> tuple[list[Capture], date | None]:
    """The vintages of the newest weeks; and the oldest of these weeks, when there are older ones."""
    weeks = sorted({capture.partition.week_ending for capture in captures}, reverse=True)
    kept = weeks[:number]
    older = kept[-1] if len(weeks) > number else None
    return [capture for capture in captures if capture.partition.week_ending in kept], older
