"""The feed of restatements, which a poller follows with one integer; and what a period restated, by symbol and by venue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Unpack

import polars as pl

from pipeline.finra.calendar import week_start_of
from pipeline.finra.rows import ATS
from pipeline.models import Capture, Cause, Partition
from pipeline.models.capture import CaptureQuerySet
from pipeline.readers import looks
from pipeline.readers.caveats import listed
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.restatements import RESTATED_SYMBOLS, RESTATED_VENUES, RESTATEMENTS
from pipeline.readers.feed import Feed, FeedFacts
from pipeline.readers.fields import SUM, Dataset
from pipeline.readers.keywords import WeeksAsked
from pipeline.readers.measured import Pair, changes_of, measured
from pipeline.readers.meta import Caveat, head
from pipeline.readers.parameters import answering
from pipeline.readers.positions import high_water, reached
from pipeline.readers.questions import ALL, VenueKinds, Weeks, question_of
from pipeline.readers.restated import restatements as restatements_of_finra
from pipeline.readers.result import Result
from pipeline.readers.rows import one_of
from pipeline.readers.table import Table
from pipeline.readers.values import choices, day, invalid
from pipeline.vintages import read
from pipeline.vintages.compare import MOVED, ChangeKind
from pipeline.vintages.measures import Measure

SECURITY = ("symbol", "issue_name")
BASIS_POINTS = 10_000


class RestatementsAsked(WeeksAsked, total=False):
    """Which entries of the feed: behind a position, of weeks, tiers and causes, or of the days of a period."""

    after: int | str
    cause: str | Sequence[str]
    from_day: date | str
    to_day: date | str


class RestatedAsked(RestatementsAsked, total=False):
    """Which restatements, and what of them."""

    symbol: str | Sequence[str]
    mpid: str | Sequence[str]
    venue_kind: str


@answering
def restatements(**asked: Unpack[RestatementsAsked]) -> Result:
    """Every vintage that followed another, behind a position, in the order of the feed; each once, whatever commits late.

    Whoever follows it keeps the greatest position seen, or `high_water`, and asks again with `after`.
    """
    newest = high_water().position
    found = _entries(asked).filter(position__lte=newest)
    meta = head(RESTATEMENTS.name, FeedFacts(newest), sorted((name, str(value)) for name, value in asked.items()))
    related = found.select_related("partition", "annuls", "annulled_by")
    return Result(RESTATEMENTS, meta, (), Feed(RESTATEMENTS, related, _rows, "nothing was restated"))


def _entries(asked: RestatementsAsked) -> CaptureQuerySet:
    """The vintages that followed another, as far as they are asked for."""
    found = Capture.objects.normalized().filter(version__gt=1)
    causes = choices("cause", asked.get("cause"), Cause)
    if causes:
        found = found.filter(cause__in=causes)
    if asked.get("after") is not None:
        found = found.filter(position__gt=reached("after", asked["after"]))
    return _of_period(_of_partitions(found, asked), asked)


def _of_partitions(found: CaptureQuerySet, asked: RestatementsAsked) -> CaptureQuerySet:
    question = question_of(asked)
    if question.weeks != Weeks():
        return found.filter(partition__in=Partition.objects.for_keys(keys_of(question)))
    return found.filter(partition__tier__in=question.tiers)


def _of_period(found: CaptureQuerySet, asked: RestatementsAsked) -> CaptureQuerySet:
    """Those that became known from the beginning of a day in New York to the end of another."""
    since = day("from_day", asked["from_day"]) if asked.get("from_day") is not None else None
    until = day("to_day", asked["to_day"]) if asked.get("to_day") is not None else None
    if since and until and since > until:
        raise invalid("from_day", f"from_day {since} is after to_day {until}")
    if since:
        found = found.filter(normalized_at__gt=read.instant_of(since - timedelta(days=1)))
    return found.filter(normalized_at__lte=read.instant_of(until)) if until else found


def before_each(captures: Sequence[Capture]) -> dict[int, Capture]:
    """The vintage before each of these, by primary key. One query."""
    chains: dict[int, list[Capture]] = {}
    every = Capture.objects.normalized().filter(partition__in={one.partition_id for one in captures})
    for one in every.select_related("partition").order_by("version"):
        chains.setdefault(one.partition_id, []).append(one)
    found = {}
    for capture in captures:
        earlier = [one for one in chains[capture.partition_id] if one.version < capture.version]
        if earlier:
            found[capture.pk] = earlier[-1]
    return found


def _rows(captures: Sequence[Capture]) -> Iterator[tuple[Any, ...]]:
    before = before_each(captures)
    pairs = [(before[one.pk], one) for one in captures if one.pk in before]
    known = measured(pairs)
    for was, now in pairs:
        yield _row(was, now, known.get((was.pk, now.pk)))


def _row(was: Capture, now: Capture, moved: Mapping[str, Measure] | None) -> tuple[Any, ...]:
    key, annulment = now.partition.key, getattr(now, "annulled_by", None)
    return (
        now.position,
        now.normalized_at,
        key.week_ending,
        week_start_of(key.week_ending),
        key.tier.value,
        now.capture_id,
        was.capture_id,
        now.kind,
        now.cause,
        looks.age_of(key, now.normalized_at) if now.normalized_at else None,
        now.rows_added,
        now.rows_changed,
        now.rows_removed,
        now.rows_unchanged,
        was.shares,
        now.shares,
        *_moved(moved),
        now.annuls.capture_id if now.annuls else None,
        annulment.capture_id if annulment else None,
    )


def _moved(moved: Mapping[str, Measure] | None) -> tuple[Any, ...]:
    if moved is None:
        return (None,) * 6
    both, kinds, ats = moved[ALL], [moved[kind] for kind in moved if kind != ALL], moved[ATS]
    compared = [one for one in kinds if one.compares]
    largest = max((one.largest_share_move * BASIS_POINTS for one in compared), default=None)
    ranks = sum(one.rank_changes for one in compared) if compared else None
    return both.gross_change, both.venues_moved, largest, ranks, ats.hhi_before, ats.hhi_after


@answering
def restated_symbols(**asked: Unpack[RestatedAsked]) -> Result:
    """What FINRA's restatements of a period moved, by security."""
    return _restated(RESTATED_SYMBOLS, SECURITY, asked)


@answering
def restated_venues(**asked: Unpack[RestatedAsked]) -> Result:
    """What FINRA's restatements of a period moved, by venue."""
    return _restated(RESTATED_VENUES, ("venue_kind", "mpid", "crd", "venue_name"), asked)


@dataclass(frozen=True, slots=True)
class Restated:
    """FINRA's restatements, each with the vintage before it; and those of which a vintage is not kept, and so left out."""

    pairs: tuple[tuple[Capture, Capture], ...]
    lost: tuple[Capture, ...]

    def said(self) -> list[str]:
        """What follows from them follows from these."""
        return [after.capture_id for _, after in self.pairs]

    def caveats(self) -> tuple[Caveat, ...]:
        """What is left out."""
        told = f"left out, for the rows of a vintage are not kept: {listed([str(one) for one in self.lost])}"
        return (Caveat("pruned", told),) if self.lost else ()


def restated(asked: RestatedAsked) -> Restated:
    """The restatements of a question."""
    found = _entries(asked).filter(pk__in=restatements_of_finra().values("pk"))
    captures = list(found.select_related("partition").order_by("position"))
    before = before_each(captures)
    pairs = [(before[one.pk], one) for one in captures if one.pk in before]
    kept = [pair for pair in pairs if not any(one.pruned_at for one in pair)]
    return Restated(tuple(kept), tuple(pair[1] for pair in pairs if pair not in kept))


def said_of(asked: RestatedAsked) -> list[str]:
    """A question in words, without the day that a cursor adds to it: the restatements found say what follows from that."""
    return sorted(f"{name}={value}" for name, value in asked.items() if name != "on_day")


def _restated(dataset: Dataset, by: tuple[str, ...], asked: RestatedAsked) -> Result:
    """What restatements moved, grouped."""
    found, wanted = restated(asked), conditions(asked)
    meta = head(dataset.name, None, [found.said(), said_of(asked)])
    order = ("gross_change",)
    table = Table(dataset, lambda: _summed(dataset, found.pairs, wanted, by), "nothing was restated", order, order)
    return Result(dataset, meta, found.caveats(), table)


def conditions(asked: RestatedAsked) -> list[pl.Expr]:
    """What a row that was restated has to be."""
    question = question_of(asked)
    found = []
    if question.symbols:
        found.append(one_of("symbol", question.symbols))
    if question.venue.mpids:
        found.append(one_of("mpid", question.venue.mpids))
    if question.venue_kind is not VenueKinds.ALL:
        found.append(pl.col("venue_kind") == question.venue_kind.value)
    return found


def _summed(
    dataset: Dataset, pairs: Sequence[tuple[Capture, Capture]], wanted: Sequence[pl.Expr], by: tuple[str, ...]
) -> pl.DataFrame:
    """What pairs of vintages moved, grouped."""
    frames = [moved_rows(*pair) for pair in pairs]
    if not frames:
        return dataset.schema.to_frame()
    everything = pl.concat(frames)
    moved = everything.filter(*wanted).with_columns(pl.col("firm").alias("venue_name"))
    before, after = (pl.col(f"{side}_shares").cast(SUM).fill_null(0) for side in ("before", "after"))
    counts = [
        (pl.col("kind") == kind.value).sum().cast(pl.Int64).alias(f"rows_{kind.value}")
        for kind in (ChangeKind.ADDED, ChangeKind.CHANGED, ChangeKind.REMOVED)
    ]
    summed = moved.group_by(by).agg(
        pl.col("position").n_unique().cast(pl.Int64).alias("restatements"),
        *counts,
        MOVED.cast(SUM).sum().alias("gross_change"),
        (after.sum() - before.sum()).cast(SUM).alias("net_change"),
        pl.col("capture_id").unique().sort().alias("capture_ids"),
    )
    return summed.join(_moved_tiers(everything), on=by, how="left") if by == SECURITY else summed


def moved_rows(before: Capture, after: Capture) -> pl.DataFrame:
    """The rows in which two vintages differ, with their partition and place in the feed."""
    key = after.partition.key
    return changes_of(Pair(before, after)).rows.with_columns(
        pl.lit(key.week_ending).alias("week_ending"),
        pl.lit(key.tier.value).alias("tier"),
        pl.lit(after.position, pl.Int64).alias("position"),
        pl.lit(after.capture_id).alias("capture_id"),
    )


def _moved_tiers(moved: pl.DataFrame) -> pl.DataFrame:
    """Of each security whether rows of a week left a tier and came to another: one move, told by two restatements."""
    added, removed = (pl.col("kind") == kind.value for kind in (ChangeKind.ADDED, ChangeKind.REMOVED))
    of_weeks = moved.group_by("week_ending", *SECURITY).agg(
        (added.any() & removed.any() & (pl.col("tier").filter(added | removed).n_unique() > 1)).alias("moved_tier")
    )
    return of_weeks.group_by(SECURITY).agg(pl.col("moved_tier").any())
