"""The pages of a capture: its figures and whether they add up, and its rejects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.urls import reverse

from pipeline.admin.shared import figures
from pipeline.admin.shared.lines import CaptureLine, ManifestLine, acts_on
from pipeline.models import Capture, Reject
from pipeline.review import equations
from pipeline.review.equations import Equation, Term

SHOWN = 30
PER_PAGE = 100


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
