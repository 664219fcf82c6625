"""The first vintages of weeks: what a venue's share was when the week was first published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from pipeline.models import Capture, CaptureKind
from pipeline.readers.figures import Figured, Figures

IDENTITY = ("scope", "venue_kind", "mpid", "crd", "venue")  # the name of an ATS does not tell it apart
VENUE = pl.when(pl.col("mpid") == "").then("venue_name").otherwise(pl.lit("")).alias("venue")
SHARE = "share_first_published"


@dataclass(frozen=True, slots=True)
class First:
    """The first vintage of a partition, as far as it is told without reading it."""

    pk: int
    capture_id: str
    week_ending: date
    is_kept: bool


@dataclass(frozen=True, slots=True)
class FirstVintages:
    """Of each week the first vintages of its tiers: those that stood when the tiers' vintages were the newest.

    A week of which one is not kept has none. `current` are the weeks that are as they were first published.
    """

    of_weeks: Mapping[date, tuple[First, ...]]
    current: frozenset[date]

    @classmethod
    def of(cls, found: Figured) -> FirstVintages:
        """Those of the weeks of some figures. One query."""
        inputs = found.figures.inputs
        first: dict[date, list[First]] = {}
        for one in _first_of(one for captures in inputs.values() for one in captures):
            first.setdefault(one.week_ending, []).append(one)
        kept = {week: tuple(tiers) for week, tiers in first.items() if all(one.is_kept for one in tiers)}
        current = {
            week for week, tiers in kept.items() if {one.pk for one in tiers} == {one.pk for one in inputs[week]}
        }
        return cls(kept, frozenset(current))

    def said(self) -> list[str]:
        """What follows from them follows from these."""
        return sorted(one.capture_id for tiers in self.of_weeks.values() for one in tiers)

    def beside(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of venues with the share that each had in the first vintages of its week; null where there are none."""
        first = self._figures().venues().with_columns(VENUE)
        shares = first.select("week_ending", *IDENTITY, pl.col("share").alias(SHARE))
        joined = rows.join(shares, on=["week_ending", *IDENTITY], how="left")
        is_current = pl.col("week_ending").is_in(sorted(self.current))
        return joined.with_columns(pl.when(is_current).then("share").otherwise(SHARE).alias(SHARE))

    def _figures(self) -> Figures:
        """The figures of the weeks that are not as they were first published."""
        moved = {one.pk for week, tiers in self.of_weeks.items() if week not in self.current for one in tiers}
        inputs: dict[date, tuple[Capture, ...]] = {}
        captures = Capture.objects.filter(pk__in=moved).select_related("partition") if moved else ()
        for capture in sorted(captures, key=lambda one: one.partition.key):
            week = capture.partition.week_ending
            inputs[week] = (*inputs.get(week, ()), capture)
        return Figures(inputs)


def _first_of(captures: Iterable[Capture]) -> Iterable[First]:
    """The first vintage of each partition that was not annulled when its vintage here was the newest."""
    held = {one.partition_id: one.version for one in captures}
    every = Capture.objects.normalized().filter(partition__in=held).exclude(kind=CaptureKind.ANNULMENT)
    told = every.order_by("-version").values_list(
        "partition", "version", "annulled_by__version", "pk", "capture_id", "partition__week_ending", "pruned_at"
    )
    first: dict[int, First] = {}
    for partition, version, annulment, pk, capture_id, week, pruned_at in told:
        if version <= held[partition] and not (annulment and annulment <= held[partition]):
            first[partition] = First(pk, capture_id, week, pruned_at is None)
    return first.values()
