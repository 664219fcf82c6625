"""How much two vintages differ: exact sums, shares without the pool, places among the ten largest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

import pytest

from pipeline.vintages.compare import difference_of
from pipeline.vintages.measures import ALL, Measure, measured
from tests.vintages.frames import Line, frame_of

ZERO = Decimal(0)
POOL = "De Minimis Firms"
BEFORE = [
    ("S", "AAAA", "50", 1),
    ("S", "BBBB", "30", 1),
    ("T", "BBBB", "20", 1),
    ("S", "Firm One", "60", 1),
    ("S", POOL, "40", 1),
]
AFTER = [
    ("S", "AAAA", "60", 1),
    ("S", "BBBB", "30", 1),
    ("S", "CCCC", "50", 1),
    ("S", "Firm One", "60", 1),
    ("S", POOL, "20", 1),
]


def between(before: Collection[Line], after: Collection[Line]) -> Mapping[str, Measure]:
    frame = frame_of(before)
    return measured(frame, difference_of(frame, frame_of(after)))


def close(*values: float) -> object:
    """Numbers to compare with, but for their last digits."""
    return pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "shares", "rows", "venues", "shares_and_hhi"),
    [
        (ALL, (200, 220, 100), (5, 1, 2, 1), (4, 3), (50 / 220, 0.215, 10600 / 220**2)),
        ("ATS", (100, 140, 80), (3, 1, 1, 1), (3, 2), (50 / 140, 0.5, 7000 / 140**2)),
        ("NON_ATS", (100, 80, 20), (2, 0, 1, 0), (1, 0), (0.15, 0.36, 0.5625)),
    ],
)
def test_each_kind_has_what_moved_in_it(
    kind: str,
    shares: tuple[int, ...],
    rows: tuple[int, ...],
    venues: tuple[int, ...],
    shares_and_hhi: tuple[float, ...],
) -> None:
    found = between(BEFORE, AFTER)[kind]
    assert found.venue_kind == kind
    assert (found.shares_before, found.shares_after, found.shares_moved) == tuple(map(Decimal, shares))
    assert (found.rows_before, found.rows_added, found.rows_changed, found.rows_removed) == rows
    assert (found.venues_moved, found.rank_changes) == venues
    assert (found.largest_share_move, found.hhi_before, found.hhi_after) == close(*shares_and_hhi)


def test_gross_and_net_change_are_parts_of_the_shares_before() -> None:
    found = between(BEFORE, AFTER)["ATS"]
    assert (found.gross_change, found.net_change) == close(0.8, 0.4)


@pytest.mark.parametrize(("first", "changes"), [(9, 2), (10, 2), (11, 0)])
def test_places_count_while_one_of_them_is_among_the_first_ten(first: int, changes: int) -> None:
    venues = [f"AAA{letter}" for letter in "ABCDEFGHIJKL"]
    swapped = [*venues[: first - 1], venues[first], venues[first - 1], *venues[first + 1 :]]

    def lines(order: list[str]) -> list[Line]:
        return [("S", venue, str(100 - place), 1) for place, venue in enumerate(order)]

    assert between(lines(venues), lines(swapped))["ATS"].rank_changes == changes


def test_without_volume_there_are_no_shares() -> None:
    found = between([("S", "AAAA", "0", 0)], [("S", "AAAA", "5", 1)])["ATS"]
    assert (found.gross_change, found.net_change, found.hhi_before, found.hhi_after) == (None, None, None, 1.0)
    assert (found.largest_share_move, found.shares_moved, found.venues_moved) == (0.0, Decimal(5), 1)
    nothing = between([("S", "AAAA", "1", 1)], [("S", "AAAA", "2", 1)])["NON_ATS"]
    assert nothing == Measure("NON_ATS", ZERO, ZERO, ZERO, 0, 0, 0, 0, 0, 0.0, 0, None, None)
