"""The revision profile: how much partitions have moved since first published, by age: quantiles over the verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from pipeline.readers.datasets.revisions import REVISION_PROFILE
from pipeline.readers.meta import head
from pipeline.readers.parameters import answering
from pipeline.readers.result import Result
from pipeline.readers.revisions import (
    Cell,
    MeasureName,
    RevisionsAsked,
    State,
    Triangle,
    facts_of,
    question_and_triangle,
    said_of,
    value_of,
)
from pipeline.readers.settled import SettledAges, settled_ages
from pipeline.readers.table import Table, frame_of
from pipeline.readers.values import age

PERCENTILES = (50, 90, 95, 99)
MILLION = 1_000_000
COUNTED = (
    State.VERIFIED,
    State.NOT_VERIFIED,
    State.UNCERTAIN,
    State.EXCLUDED,
    State.LATE_FIRST_CAPTURE,
    State.TOO_YOUNG,
)


class ProfileAsked(RevisionsAsked, total=False):
    """Of which partitions and venues; and how long they must have been watched: cohorts of equal age can be compared."""

    min_verified_age: int | str


@answering
def revision_profile(**asked: Unpack[ProfileAsked]) -> Result:
    """How much partitions have moved since their first publication, by tier, kind and age: quantiles over the verified."""
    _, triangle, measure, kinds = question_and_triangle(asked)
    triangle = triangle.verified_through(least_age(asked))
    meta = head(REVISION_PROFILE.name, facts_of(triangle, measure), said_of(triangle, kinds))
    table = Table(REVISION_PROFILE, lambda: frame_of(REVISION_PROFILE, _profile_rows(triangle, measure, kinds)))
    return Result(REVISION_PROFILE, meta, (), table)


def _profile_rows(triangle: Triangle, measure: MeasureName, kinds: Sequence[str]) -> list[tuple[Any, ...]]:
    settled = settled_ages(triangle.chains, kinds)
    cohorts: dict[tuple[str, int], list[Cell]] = {}
    for cell in triangle.cells():
        cohorts.setdefault((cell.chain.key.tier.value, cell.age), []).append(cell)
    return [
        (tier, kind, age, *_cohort(kind, [cell for cell in cells if cell.has(kind)], measure, settled))
        for (tier, age), cells in cohorts.items()
        for kind in kinds
    ]


def _cohort(kind: str, cells: Sequence[Cell], measure: MeasureName, settled: SettledAges) -> Iterator[Any]:
    """The figures of the partitions of a tier at an age."""
    counts = {state: sum(cell.state is state for cell in cells) for state in State}
    verified = [cell for cell in cells if cell.state is State.VERIFIED]
    values = [value for cell in verified if (value := value_of(cell, kind, measure)) is not None]
    yield from (counts[state] for state in COUNTED)
    yield _ratio_revised(verified, kind)
    yield _ratio_settled(verified, kind, settled)
    yield from quantiles(values)
    yield sum(values) / len(values) if values else None
    yield from _per_million(verified, kind)


def _ratio_revised(verified: Sequence[Cell], kind: str) -> float | None:
    if not verified:
        return None
    return sum(bool(cell.moved and cell.moved[kind].shares_moved) for cell in verified) / len(verified)


def _ratio_settled(verified: Sequence[Cell], kind: str, settled: SettledAges) -> float | None:
    """The part that had settled at their age."""
    if not verified:
        return None
    return sum(settled[cell.chain.key, kind] <= cell.age for cell in verified) / len(verified)


def _per_million(verified: Sequence[Cell], kind: str) -> tuple[float | None, ...]:
    """Rows added, changed, removed since the first publication, of a million that it had."""
    moved = [cell.moved[kind] for cell in verified if cell.moved]
    rows = sum(_rows_of(cell, kind) for cell in verified)
    sums = (
        sum(one.rows_added for one in moved),
        sum(one.rows_changed for one in moved),
        sum(one.rows_removed for one in moved),
    )
    return tuple(number * MILLION / rows if rows else None for number in sums)


def _rows_of(cell: Cell, kind: str) -> int:
    """How many rows the first publication had."""
    first = cell.chain.first
    return {"ATS": first.rows_kept - first.rows_non_ats, "NON_ATS": first.rows_non_ats}.get(kind, first.rows_kept)


def least_age(asked: ProfileAsked) -> int:
    """The age through which partitions must be verified, to count at any age; 0 asks nothing."""
    return age("min_verified_age", asked.get("min_verified_age") or 0)


def quantiles(values: Sequence[float]) -> Iterator[float | None]:
    """The percentiles of how much was moved, either way, and the largest."""
    sizes = list(map(abs, values))
    yield from (percentile(sizes, percent) for percent in PERCENTILES)
    yield max(sizes, default=None)


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The least value that so many of a hundred do not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    place = max(1, -(-len(values) * percent // 100))
    return sorted(values)[place - 1]
