"""The movements of a capture: venue shares and market concentration, as known just before it and with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import readers
from pipeline.admin.shared import figures
from pipeline.admin.shared.moves import AFTER, concentration_moves, only_moved, venue_moves
from pipeline.models import HHI_POINTS, Capture, Family
from pipeline.readers import ReadersError
from pipeline.readers.once import one_page
from pipeline.review import equations

VENUES_SHOWN = 25
HALF_A_BAR = 60
ALL = "ALL"
Record = Mapping[str, Any]
FAMILIES = {"ATS": Family.ATS, "NON_ATS": Family.NON_ATS, ALL: Family.ALL}


@dataclass(frozen=True, slots=True)
class VenueLine:
    """A venue's share before and after, and how far it moved beside the biggest mover."""

    record: Record
    widest: float

    @property
    def kind(self) -> str:
        return str(FAMILIES[self.record["venue_kind"]].label)

    @property
    def shares(self) -> tuple[str, str]:
        """Its share of the tier's volume of its kind, before and after."""
        return figures.percent(self.record["share"]), figures.percent(self.record[f"share{AFTER}"])

    @property
    def volumes(self) -> tuple[str, str]:
        return self._both("shares")

    @property
    def ranks(self) -> tuple[str, str]:
        return self._both("rank")

    @property
    def change(self) -> str:
        return figures.percent_points(self.record["moved"])

    @property
    def rises(self) -> bool:
        return self._moved > 0

    @property
    def _moved(self) -> float:
        return self.record["moved"] or 0.0  # of what is not known no bar is drawn

    @property
    def bar(self) -> tuple[str, str]:
        """The start and the length of its bar, from the middle of a bar of twice HALF_A_BAR."""
        length = HALF_A_BAR * abs(self._moved) / self.widest if self.widest else 0
        start = HALF_A_BAR if self.rises else HALF_A_BAR - length
        return f"{start:.1f}", f"{length:.1f}"

    def _both(self, name: str) -> tuple[str, str]:
        return figures.number(self.record[name]), figures.number(self.record[f"{name}{AFTER}"])


@dataclass(frozen=True, slots=True)
class ConcentrationLine:
    """A market's HHI before and after."""

    record: Record

    @property
    def scope(self) -> str:
        return str(self.record["tier"])

    @property
    def family(self) -> str:
        return str(FAMILIES[self.record["venue_kind"]].label)

    @property
    def points(self) -> tuple[str, str]:
        before, after = ((self.record[f"hhi_low{side}"], self.record[f"hhi_high{side}"]) for side in ("", AFTER))
        return figures.points(*before), figures.points(*after)

    @property
    def change(self) -> str:
        """The change of the upper end, in points; a dash where one side is missing."""
        before, after = self.record["hhi_high"], self.record[f"hhi_high{AFTER}"]
        return figures.NONE if before is None or after is None else f"{(after - before) * HHI_POINTS:+,.2f}"


@one_page()
def contents(capture: Capture) -> dict[str, Any]:
    """The context of the page, or why nothing can be compared."""
    before = equations.vintage_before(capture)
    if capture.normalized_at is None or capture.position is None:
        return {"why_not": "Its rows are not stored: no figure follows from it."}
    if before is None:
        return {"why_not": f"It is the first of {capture.partition}: no figure stood before it."}
    try:
        return {"before": before, **_moved(capture, capture.position)}
    except ReadersError as why:
        return {"why_not": f"{why.detail}."}


def _moved(capture: Capture, position: int) -> dict[str, Any]:
    """The figures known at the capture's position of the feed, beside those known just before it."""
    key = capture.partition.key
    scopes: list[dict[str, Any]] = [{"week_ending": key.week_ending, "tier": tier} for tier in (key.tier.value, ALL)]
    was, now = ({"position": f"{at}"} for at in (position - 1, position))
    venues = only_moved(venue_moves(readers.venues(**scopes[0], **was), readers.venues(**scopes[0], **now)))
    widest = max((abs(moved) for moved in venues["moved"].drop_nulls()), default=0.0)
    markets = [concentration_moves(readers.market(**of, **was), readers.market(**of, **now)) for of in scopes]
    return {
        "venues": [VenueLine(record, widest) for record in venues.head(VENUES_SHOWN).iter_rows(named=True)],
        "venues_moved": figures.number(venues.height),
        "concentrations": [ConcentrationLine(one) for market in markets for one in market.iter_rows(named=True)],
    }
