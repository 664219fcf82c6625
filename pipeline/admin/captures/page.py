"""The pages of a capture: its figures and whether they add up, its rejects, and its impact on analytics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.urls import reverse

from pipeline.admin.shared import figures
from pipeline.admin.shared.lines import CaptureLine, ManifestLine, acts_on
from pipeline.models import HHI_POINTS, Capture, Family, MarketConcentration, Reject, VenueVolume
from pipeline.review import equations
from pipeline.review.equations import Equation, Term
from pipeline.review.impact import ConcentrationMove, Movement, NothingToCompare, VenueMove, movement_of

SHOWN = 30
PER_PAGE = 100
VENUES_SHOWN = 25
HALF_A_BAR = 60


@dataclass(frozen=True, slots=True)
class Tab:
    """One of a capture's pages."""

    name: str
    url: str
    here: bool


@dataclass(frozen=True, slots=True)
class TermLine:
    """A figure of an equation: "+ 12 kept"."""

    term: Term
    first: bool

    @property
    def sign(self) -> str:
        if self.first:
            return ""
        return "+" if self.term.sign > 0 else "\N{MINUS SIGN}"

    @property
    def value(self) -> str:
        return figures.number(self.term.value)


@dataclass(frozen=True, slots=True)
class EquationLine:
    """An equation, ticked or not."""

    equation: Equation

    @property
    def left(self) -> TermLine:
        return TermLine(self.equation.left, True)

    @property
    def right(self) -> list[TermLine]:
        return [TermLine(term, position == 0) for position, term in enumerate(self.equation.right)]


@dataclass(frozen=True, slots=True)
class VenueLine:
    """A venue's share before and after, and how far it moved beside the biggest mover."""

    move: VenueMove
    widest: float

    @property
    def kind(self) -> str:
        return str(self.move.venue.kind.label)

    @property
    def shares(self) -> tuple[str, str]:
        """Its share of the tier's volume of its kind, before and after."""
        return self._both(lambda volume: figures.percent(volume.share))

    @property
    def volumes(self) -> tuple[str, str]:
        return self._both(lambda volume: figures.number(volume.shares))

    @property
    def ranks(self) -> tuple[str, str]:
        return self._both(lambda volume: figures.number(volume.rank))

    @property
    def change(self) -> str:
        return figures.percent_points(self.move.share_change)

    @property
    def rises(self) -> bool:
        return self.move.share_change > 0

    @property
    def bar(self) -> tuple[str, str]:
        """Where its bar starts and how long it is, from the middle of a bar of twice HALF_A_BAR."""
        length = HALF_A_BAR * abs(self.move.share_change) / self.widest if self.widest else 0
        start = HALF_A_BAR if self.rises else HALF_A_BAR - length
        return f"{start:.1f}", f"{length:.1f}"

    def _both(self, text: Any) -> tuple[str, str]:
        return _both(self.move.before, self.move.after, text)


@dataclass(frozen=True, slots=True)
class ConcentrationLine:
    """A market's HHI before and after."""

    move: ConcentrationMove

    @property
    def family(self) -> str:
        return str(Family(self.move.family).label)

    @property
    def points(self) -> tuple[str, str]:
        return _both(self.move.before, self.move.after, lambda market: figures.points(market.hhi_low, market.hhi_high))

    @property
    def change(self) -> str:
        """The change of the upper end, in points; a dash where one side is missing."""
        highs = [side.hhi_high for side in (self.move.before, self.move.after) if side and side.hhi_high is not None]
        return f"{(highs[1] - highs[0]) * HHI_POINTS:+,.2f}" if len(highs) == 2 else figures.NONE


Volume = VenueVolume | MarketConcentration


def _both(before: Volume | None, after: Volume | None, text: Any) -> tuple[str, str]:
    was, now = (text(side) if side else figures.NONE for side in (before, after))
    return was, now


def tabs(capture: Capture, here: str) -> list[Tab]:
    """The pages of a capture."""
    pages = {
        "change": "Overview",
        "difference": "Difference",
        "movement": "What it moved",
        "rejects": f"Rejects ({figures.number(capture.rows_rejected)})",
    }
    return [
        Tab(name, reverse(f"admin:pipeline_capture_{page}", args=[capture.pk]), page == here)
        for page, name in pages.items()
    ]


def overview(capture: Capture) -> dict[str, Any]:
    """The context of the first page. A dozen queries, whatever the size of the vintage."""
    siblings = list(capture.partition.captures.order_by("-version")[:SHOWN])
    before = equations.vintage_before(capture)
    return {
        "captures": [CaptureLine(one, one.pk == capture.partition.latest_id) for one in siblings],
        "shown": SHOWN,
        "before": before,
        "counts": _counts(capture),
        "figures": _figures(capture),
        "size": figures.size(capture.payload_bytes),
        "equations": [EquationLine(equation) for equation in equations.equations(capture)],
        "manifests": [ManifestLine(one) for one in capture.manifests.select_related("capture", "run").order_by("pk")],
        "snapshots": list(capture.snapshots.order_by("sequence")[:SHOWN]),
        "acts": acts_on([("capture", [capture.pk])]),
    }


def _figures(capture: Capture) -> list[tuple[str, str]]:
    """The figures of the capture, each with its name."""
    ats = capture.rows_kept - capture.rows_non_ats
    return [
        ("Rows kept", figures.number(capture.rows_kept)),
        ("of ATS venues", figures.number(ats)),
        ("of other firms", figures.number(capture.rows_non_ats)),
        ("Rows rejected", figures.number(capture.rows_rejected)),
        ("Shares", figures.number(capture.shares)),
        ("Trades", figures.number(capture.trades)),
    ]


def _counts(capture: Capture) -> list[tuple[str, str]]:
    """How its rows compare with those of the vintage before."""
    if capture.normalized_at is None:
        return []
    counts = {
        "added": capture.rows_added,
        "changed": capture.rows_changed,
        "removed": capture.rows_removed,
        "unchanged": capture.rows_unchanged,
    }
    return [(name, figures.number(count)) for name, count in counts.items()]


def rejects(capture: Capture, page: str | None) -> Page[Reject]:
    """A page of the lines that were not stored, in the order of the payload."""
    return Paginator(capture.rejects.order_by("part", "line"), PER_PAGE).get_page(page)


def movement(capture: Capture) -> dict[str, Any]:
    """The context of the page that says what it moved, or why that cannot be said. Eight queries."""
    try:
        moved = movement_of(capture)
    except NothingToCompare as why:
        return {"why_not": str(why)}
    return {
        "movement": moved,
        "venues": _venue_lines(moved),
        "venues_moved": figures.number(len(moved.venues)),
        "concentrations": [ConcentrationLine(move) for move in moved.concentrations],
        "others": [change for change in moved.inputs if change.tier != capture.partition.tier],
    }


def _venue_lines(moved: Movement) -> list[VenueLine]:
    widest = max((abs(move.share_change) for move in moved.venues), default=0.0)
    return [VenueLine(move, widest) for move in moved.venues[:VENUES_SHOWN]]
