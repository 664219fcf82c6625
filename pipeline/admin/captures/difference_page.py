"""The page that compares two captures of a partition, and its downloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponseBase
from django.urls import reverse

from pipeline.admin.shared import downloads, figures
from pipeline.models import Capture
from pipeline.resilience.failures import sentence_of
from pipeline.review import equations
from pipeline.review.difference_table import table_of
from pipeline.vintages import compare
from pipeline.vintages.compare import Difference, Kind, RowChange, RowValues
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged

PER_PAGE = 50
CANNOT_COMPARE = (NoSuchVintage, VintageDamaged, OSError)
ICONS = {Kind.ADDED: "add", Kind.CHANGED: "edit", Kind.REMOVED: "remove"}
MOST_DIGITS = 9  # of a version: a column of the database holds no more


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A row before and after."""

    change: RowChange

    @property
    def icon(self) -> str:
        return ICONS[Kind(self.change.kind)]

    @property
    def venue(self) -> str:
        """The MPID of an ATS, the name of another firm."""
        return self.change.key.mpid or self.change.key.firm or self.change.key.crd

    @property
    def shares(self) -> tuple[str, str]:
        return self._both(lambda values: figures.number(values.shares))

    @property
    def trades(self) -> tuple[str, str]:
        return self._both(lambda values: figures.number(values.trades))

    @property
    def updated(self) -> tuple[str, str]:
        return self._both(lambda values: values.last_update_date)

    @property
    def moved(self) -> str:
        """By how many shares."""
        return figures.signed(_shares(self.change.after) - _shares(self.change.before))

    def _both(self, text: Any) -> tuple[str, str]:
        before, after = self.change.before, self.change.after
        return (text(before) if before else ""), (text(after) if after else "")


@dataclass(frozen=True, slots=True)
class Pill:
    """A kind of change that the page can be narrowed to."""

    name: str
    count: str
    query: str
    here: bool


def contents(capture: Capture, asked: Mapping[str, str]) -> dict[str, Any]:
    """The context of the page: what is compared with what, and a page of the rows that differ.

    `asked` is the query of the address: `with` a version, `kind`, `page`. Http404 for a version or kind there is not.
    """
    others = list(capture.partition.captures.exclude(pk=capture.pk).order_by("-version"))
    before = other_capture(capture, asked)
    context: dict[str, Any] = {"others": others, "before": before}
    if before is None:
        return {**context, "why_not": "It is the only capture of its partition: there is nothing to compare it with."}
    try:
        difference = compare.compare(before, capture)
    except CANNOT_COMPARE as why:
        return {**context, "why_not": f"{sentence_of(why)}."}
    return {**context, **_rows(difference, _kind(asked), asked.get("page"))}


def other_capture(capture: Capture, asked: Mapping[str, str]) -> Capture | None:
    """The capture to compare with: the version asked for, else the vintage before, else any other; None for the only one."""
    others = capture.partition.captures.exclude(pk=capture.pk).select_related("partition")
    if "with" not in asked:
        return equations.vintage_before(capture) or others.order_by("-version").first()
    version = asked["with"]
    is_one = version.isdecimal() and version.isascii() and len(version) <= MOST_DIGITS
    found = others.filter(version=int(version)).first() if is_one else None
    if found is None:
        raise Http404(f"{capture.partition} has no other version {version}")
    return found


def as_download(capture: Capture, before: Capture, form: str) -> HttpResponseBase:
    """All rows that differ, the biggest movers first, as CSV or Parquet. Errors as those of `compare`."""
    table = table_of(compare.biggest_first(compare.compare(before, capture).changes.rows))
    key = capture.partition.key
    name = f"difference_{key.tier}_{key.week_ending}_v{before.version}_v{capture.version}"
    return downloads.FORMATS[form](name, table)


def _rows(difference: Difference, kind: Kind | None, page: str | None) -> dict[str, Any]:
    before, after = difference.before, difference.after
    pages = Paginator(range(difference.count(kind)), PER_PAGE).get_page(page)
    changes = compare.movers(difference, pages.start_index() - 1 if pages else 0, PER_PAGE, kind)
    return {
        "changes": [ChangeLine(change) for change in changes],
        "page": pages,
        "total": figures.number(difference.count(kind)),
        "from": figures.number(pages.start_index()),
        "to": figures.number(pages.end_index()),
        "pills": _pills(difference, kind),
        "query": f"with={before.version}" + (f"&kind={kind}" if kind else ""),
        "downloads": [
            (form, f"{reverse(f'admin:pipeline_capture_difference_{form}', args=[after.pk])}?with={before.version}")
            for form in downloads.FORMATS
        ],
    }


def _pills(difference: Difference, here: Kind | None) -> list[Pill]:
    kinds: list[Kind | None] = [None, *Kind]
    base = f"with={difference.before.version}"
    return [
        Pill(
            kind or "all", figures.number(difference.count(kind)), f"{base}&kind={kind}" if kind else base, kind == here
        )
        for kind in kinds
    ]


def _kind(asked: Mapping[str, str]) -> Kind | None:
    kind = asked.get("kind", "")
    if kind and kind not in list(Kind):
        raise Http404(f"a row is added, changed or removed, not {kind}")
    return Kind(kind) if kind else None


def _shares(values: RowValues | None) -> Decimal:
    return values.shares if values else Decimal(0)
