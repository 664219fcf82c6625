"""The revision profile: how much a week still moves at an age, from our own vintages; and the triangle that it is made from.

Ages count in days from a partition's due date. A partition counts at an age only if a check succeeded then or later, and
never as unchanged because nothing was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Unpack

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.models import Partition
from pipeline.readers.chains import Chain, chains_of
from pipeline.readers.chosen import keys_of
from pipeline.readers.datasets.revisions import REVISION_TRIANGLE
from pipeline.readers.keywords import WeeksAsked
from pipeline.readers.looks import age_of
from pipeline.readers.measured import measured
from pipeline.readers.meta import head
from pipeline.readers.once import once
from pipeline.readers.parameters import answering
from pipeline.readers.questions import Question, Weeks, question_of
from pipeline.readers.result import Result
from pipeline.readers.schedule import Schedule, schedule_of
from pipeline.readers.settled import SETTLED_WITHIN, settled_ages
from pipeline.readers.table import Table, frame_of
from pipeline.readers.values import ages, choice
from pipeline.vintages.measures import ALL, KINDS, Measure

AGES = (0, 7, 14, 28, 56, 91, 182, 364)


class MeasureName(StrEnum):
    """How it is measured how much a partition moved."""

    GROSS_CHANGE_RATIO = "gross_change_ratio"
    NET_CHANGE_RATIO = "net_change_ratio"
    LARGEST_SHARE_MOVE_BP = "largest_share_move_bp"
    RANK_CHANGES = "rank_changes"
    HHI_CHANGE = "hhi_change"


def _hhi_change(moved: Measure) -> float | None:
    if moved.hhi_before is None or moved.hhi_after is None:
        return None
    return moved.hhi_after - moved.hhi_before


VALUES: Mapping[MeasureName, Callable[[Measure], float | None]] = {
    MeasureName.GROSS_CHANGE_RATIO: lambda moved: moved.gross_change,
    MeasureName.NET_CHANGE_RATIO: lambda moved: moved.net_change,
    MeasureName.LARGEST_SHARE_MOVE_BP: lambda moved: moved.largest_share_move * 10_000 if moved.compares else None,
    MeasureName.RANK_CHANGES: lambda moved: float(moved.rank_changes) if moved.compares else None,
    MeasureName.HHI_CHANGE: _hhi_change,
}


class State(StrEnum):
    """What is known of a partition at an age."""

    VERIFIED = "VERIFIED"
    NOT_VERIFIED = "NOT_VERIFIED"
    UNCERTAIN = "UNCERTAIN"
    TOO_YOUNG = "TOO_YOUNG"
    LATE_FIRST_CAPTURE = "LATE_FIRST_CAPTURE"
    EXCLUDED = "EXCLUDED"


class RevisionsAsked(WeeksAsked, total=False):
    """Of which partitions and venues, by which measure, at which ages."""

    venue_kind: str
    measure: str
    ages: str | int | Sequence[int]


@dataclass(frozen=True, slots=True)
class RevisionFacts:
    """What the figures rest on: the measure, the weeks, how often was looked, the oldest verified age, what was left out."""

    measure: str
    schedule: Schedule
    first_week: date | None
    last_week: date | None
    oldest_verified_age_days: int | None
    late_first_captures: int
    excluded: Mapping[str, int]
    excluded_captures: tuple[str, ...]
    settled_within: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A partition at an age: what is known of it, and how much it had moved; `moved` is None unless it is verified."""

    chain: Chain
    age: int
    state: State
    moved: Mapping[str, Measure] | None = None

    def has(self, kind: str) -> bool:
        """Whether the first publication has venues of a kind: of another it is not known whether it moved."""
        return kind == ALL or kind in self.chain.first.venue_kinds


@dataclass(frozen=True, slots=True)
class Triangle:
    """The chains of some partitions, and the ages that are asked for."""

    chains: tuple[Chain, ...]
    ages: tuple[int, ...]
    on_day: date

    def cells(self) -> list[Cell]:
        """Each partition at each age."""
        states = [(chain, age, self._state(chain, age)) for chain in self.chains for age in self.ages]
        pairs = {
            (chain.first.pk, now.pk): (chain.first, now)
            for chain, age, state in states
            if state is State.VERIFIED and (now := chain.at(age)) and now.pk != chain.first.pk
        }
        known = measured(list(pairs.values()))
        return [_cell(chain, age, state, known) for chain, age, state in states]

    def _state(self, chain: Chain, age: int) -> State:
        if self.on_day < due_date(chain.key.tier, chain.key.week_ending) + timedelta(days=age):
            return State.TOO_YOUNG
        if chain.is_ours:
            return State.EXCLUDED
        if chain.is_late:
            return State.LATE_FIRST_CAPTURE
        return _verified(chain, age)

    def verified_through(self, least: int) -> Triangle:
        """That of the partitions which were seen at an age of so many days, or later."""
        chains = [chain for chain in self.chains if chain.looks and age_of(chain.key, chain.looks[-1]) >= least]
        return replace(self, chains=tuple(chains))

    @property
    def oldest_verified(self) -> int | None:
        """The greatest age at which a partition was seen."""
        return max((age_of(chain.key, chain.looks[-1]) for chain in self.chains if chain.looks), default=None)


def _verified(chain: Chain, age: int) -> State:
    """Whether it is known what a partition said at an age: where the next look found what was known then."""
    look, held = chain.look_from(age), chain.at(age) or chain.first
    if look is None:
        return State.NOT_VERIFIED
    newer = [one for one in chain.vintages if one.version > held.version and one.captured_at <= look]
    return State.UNCERTAIN if newer else State.VERIFIED


def _cell(chain: Chain, age: int, state: State, known: Mapping[tuple[int, int], Mapping[str, Measure]]) -> Cell:
    if state is not State.VERIFIED:
        return Cell(chain, age, state)
    now = chain.at(age) or chain.first
    if now.pk == chain.first.pk:
        return Cell(chain, age, state, {})
    moved = known.get((chain.first.pk, now.pk))
    return Cell(chain, age, state if moved else State.NOT_VERIFIED, moved)


def value_of(cell: Cell, kind: str, measure: MeasureName) -> float | None:
    """How much a kind of venues had moved; nothing where no vintage followed the first."""
    if cell.moved is None:
        return None
    return VALUES[measure](cell.moved[kind]) if cell.moved else 0.0


def question_and_triangle(asked: RevisionsAsked) -> tuple[Question, Triangle, MeasureName, list[str]]:
    """The question, what is known of its partitions, by which measure, of which kinds."""
    question = question_of(asked)
    measure = choice("measure", asked.get("measure") or MeasureName.GROSS_CHANGE_RATIO, MeasureName)
    days = ages("ages", asked.get("ages"), AGES)
    keys = None if question.weeks == Weeks() else tuple(keys_of(question))
    kinds = list(KINDS) if asked.get("venue_kind") is None else [question.venue_kind.value]
    return question, Triangle(_chains(question.tiers, keys), days, question.on_day), measure, kinds


@once
def _chains(tiers: tuple[Tier, ...], keys: tuple[PartitionKey, ...] | None) -> tuple[Chain, ...]:
    """The chains of the captured partitions of some tiers; of all, or of those named."""
    of_tiers = Partition.objects.filter(latest__isnull=False, tier__in=tiers)
    if keys is not None:
        of_tiers = of_tiers.filter(pk__in=Partition.objects.for_keys(keys))
    return tuple(chains_of(of_tiers))


def facts_of(triangle: Triangle, measure: MeasureName) -> RevisionFacts:
    """What the figures of a triangle rest on."""
    weeks = [chain.key.week_ending for chain in triangle.chains]
    reasons = [(name, why) for chain in triangle.chains for name, why in chain.excluded]
    counts = {why.value: sum(other is why for _, other in reasons) for why in {why for _, why in reasons}}
    return RevisionFacts(
        measure.value,
        schedule_of(triangle.chains),
        min(weeks, default=None),
        max(weeks, default=None),
        triangle.oldest_verified,
        sum(chain.is_late for chain in triangle.chains),
        dict(sorted(counts.items())),
        tuple(f"{name}: {why.value}" for name, why in reasons),
        SETTLED_WITHIN,
    )


def said_of(triangle: Triangle, kinds: Collection[str]) -> list[object]:
    """What the figures follow from."""
    of_chains = [[str(chain.key), [one.capture_id for one in chain.vintages], chain.looks] for chain in triangle.chains]
    return [of_chains, triangle.ages, triangle.on_day, list(kinds)]


@answering
def revision_triangle(**asked: Unpack[RevisionsAsked]) -> Result:
    """How much each partition had moved since its first publication, at each age."""
    _, triangle, measure, kinds = question_and_triangle(asked)
    meta = head(REVISION_TRIANGLE.name, facts_of(triangle, measure), said_of(triangle, kinds))
    table = Table(REVISION_TRIANGLE, lambda: frame_of(REVISION_TRIANGLE, _triangle_rows(triangle, measure, kinds)))
    return Result(REVISION_TRIANGLE, meta, (), table)


def _triangle_rows(triangle: Triangle, measure: MeasureName, kinds: Sequence[str]) -> list[tuple[Any, ...]]:
    settled = settled_ages(triangle.chains, kinds)
    return [
        (
            cell.chain.key.week_ending,
            cell.chain.key.tier.value,
            kind,
            due_date(cell.chain.key.tier, cell.chain.key.week_ending),
            cell.age,
            value_of(cell, kind, measure),
            settled[cell.chain.key, kind] if cell.state is State.VERIFIED else None,
            cell.state.value,
        )
        for cell in triangle.cells()
        for kind in kinds
        if cell.has(kind)
    ]
