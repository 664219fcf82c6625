"""A captured week beside the weeks around it, which it resembles: what is far from them, or missing. Pure: no database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from statistics import median_high, median_low

from pipeline.capture.plausibility import Bounds, Limits, Size, Sizes, in_all
from pipeline.finra.calendar import trading_days
from pipeline.finra.payloads import PartName


def far_from_neighbours(week: date, sizes: Sizes, neighbours: Mapping[date, Sizes], limits: Limits) -> list[str]:
    """The figures of a capture that are far from the median of the weeks around it, and the halves that it ought to have.

    Shares are compared per trading day: a holiday week has fewer. Sums over both kinds are compared with weeks of the same
    kinds only, and a kind with weeks that have it.
    """
    expected = {*most_have(neighbours.values()), *limits.parts}
    found = [f"no {part.kind} rows" for part in PartName if part in expected and part not in sizes]
    alike = {each: of_each for each, of_each in neighbours.items() if of_each.keys() == sizes.keys()}
    if len(sizes) > 1:
        found += _far(
            "",
            week,
            in_all(sizes.values()),
            {each: in_all(of_each.values()) for each, of_each in alike.items()},
            limits,
        )
    for part, size in sizes.items():
        others = {each: of_each[part] for each, of_each in neighbours.items() if part in of_each}
        found += _far(f"{part.kind} ", week, size, others, limits)
    return found


def trades_far(week: date, trades: int, others: Mapping[date, int], limits: Limits) -> list[str]:
    """That the trades of a capture are far from those of the weeks around it of the same kinds: by the bounds of shares."""
    daily = [count / (trading_days(each) or 1) for each, count in others.items()]
    return _misfits(limits.shares, f"{trades:,} trades", trades / (trading_days(week) or 1), daily) if daily else []


def most_have(neighbours: Collection[Sizes]) -> list[PartName]:
    """The kinds that at least half of the neighbours have."""
    return [part for part in PartName if 2 * sum(part in sizes for sizes in neighbours) >= max(len(neighbours), 1)]


def _far(kind: str, week: date, size: Size, others: Mapping[date, Size], limits: Limits) -> list[str]:
    if not others:
        return []
    rows = [float(other.rows) for other in others.values()]
    daily = [_per_day(each, other) for each, other in others.items()]
    return [
        *_misfits(limits.rows, f"{size.rows:,} {kind}rows", size.rows, rows),
        *_misfits(limits.shares, f"{size.shares:,.0f} {kind}shares", _per_day(week, size), daily),
    ]


def _per_day(week: date, size: Size) -> float:
    return float(size.shares) / (trading_days(week) or 1)


def _misfits(bounds: Bounds, what: str, figure: float, others: list[float]) -> list[str]:
    """A sentence on a figure that is not near the median of others: of an even number, near neither of the two in the
    middle. Of two neighbours one may be the odd one.
    """
    middle = (median_low(others), median_high(others))
    if any(bounds.hold(figure, typical) for typical in middle):
        return []
    ratio = f"{figure / middle[0]:.0%} of" if middle[0] else "far above"
    return [f"{what}, {ratio} the usual (plausible: {bounds})"]
