"""The keywords that datasets have in common: the names of the API's parameters and of the commands' options."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TypedDict


class FridaysAsked(TypedDict, total=False):
    """Which weeks: a list of Fridays, a range with both ends, or the last ones that are due."""

    week_ending: date | str | Sequence[date | str]
    from_week: date | str
    to_week: date | str
    weeks: int | str
    on_day: date | str


class WeeksAsked(FridaysAsked, total=False):
    """Which weeks and tiers."""

    tier: str | Sequence[str]


class VintagesAsked(WeeksAsked, total=False):
    """Which weeks and tiers, and at most one selector."""

    as_of: datetime | date | str
    capture: str
    vintage: str
    at_age_days: int | str
    position: int | str


class KindsAsked(VintagesAsked, total=False):
    """Which of them, and of which kinds of venues."""

    venue_kind: str


class VenuesAsked(KindsAsked, total=False):
    """Which of them, and of which venues."""

    mpid: str | Sequence[str]
    crd: str
    venue_name: str


class SecuritiesAsked(VintagesAsked, total=False):
    """Which of them, and of which securities."""

    symbol: str | Sequence[str]
    issue_name: str


class ClockAsked(TypedDict, total=False):
    """Whose clock `as_of` means."""

    clock: str


class SymbolAsked(SecuritiesAsked, ClockAsked, total=False):
    """Which securities of which vintages, by which clock."""


class Asked(SecuritiesAsked, VenuesAsked, total=False):
    """What rows are asked by: weeks, tiers, securities, venues, and at most one selector."""


class RowsAsked(Asked, ClockAsked, total=False):
    """Which rows of which vintages, by which clock."""
