"""The page that compares two captures of a partition, and its downloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpResponseBase
from django.urls import reverse

from pipeline import readers
from pipeline.admin.shared import downloads, figures
from pipeline.models import Capture
from pipeline.readers import ReadersError, Result
from pipeline.resilience.failures import sentence_of
from pipeline.review import equations
from pipeline.vintages.compare import ChangeKind

PER_PAGE = 50
CANNOT_COMPARE = (ReadersError, OSError)
ICONS = {ChangeKind.ADDED: "add", ChangeKind.CHANGED: "edit", ChangeKind.REMOVED: "remove"}
MOST_DIGITS = 9  # of a version: a column of the database holds no more


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A row before and after."""

    record: Mapping[str, Any]

    @property
    def icon(self) -> str:
        return ICONS[ChangeKind(self.record["change"])]

    @property
    def shares(self) -> tuple[str, str]:
        return self._both("shares")

    @property
    def trades(self) -> tuple[str, str]:
        return self._both("trades")

    @property
    def updated(self) -> tuple[str, str]:
        return self._both("last_update_date")

    @property
    def moved(self) -> str:
        """By how many shares."""
        return figures.signed(self.record["shares_change"])

    def _both(self, name: str) -> tuple[str, str]:
        return _text(self.record[f"{name}_before"]), _text(self.record[f"{name}_after"])


@dataclass(frozen=True, slots=True)
class Pill:
    """A kind of change that the page can be narrowed to."""

    name: str
    count: str
    query: str
    here: bool


def contents(capture: Capture, asked: Mapping[str, str]) -> dict[str, Any]:
    """The context of the page: the two captures, and a page of the rows that differ.

    `asked` is the query of the address: `with` a version, `kind`, `page`. Http404 for a version or kind there is not.
    """
    others = list(capture.partition.captures.exclude(pk=capture.pk).order_by("-version"))
    before = other_capture(capture, asked)
    context: dict[str, Any] = {"others": others, "before": before}
    if before is None:
        return {**context, "why_not": "It is the only capture of its partition: there is nothing to compare it with."}
    kind = _kind(asked)
    try:
        return {**context, **_rows(before, capture, kind, asked.get("page"))}
    except CANNOT_COMPARE as why:
        return {**context, "why_not": f"{sentence_of(why)}."}


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
    """All rows that differ, the biggest movers first, as CSV or Parquet. Errors as those of the readers."""
    key = capture.partition.key
    name = f"difference_{key.tier}_{key.week_ending}_v{before.version}_v{capture.version}"
    return downloads.FORMATS[form](name, _difference(before, capture, None).frame)


def _asked(before: Capture, after: Capture, kind: ChangeKind | None) -> dict[str, str]:
    """The parameters for the readers, and for the API."""
    pair = {"from_capture": before.capture_id, "to_capture": after.capture_id}
    return pair | ({"change": kind.value} if kind else {})


def _difference(before: Capture, after: Capture, kind: ChangeKind | None) -> Result:
    return readers.differences(**_asked(before, after, kind))


def _rows(before: Capture, after: Capture, kind: ChangeKind | None, page: str | None) -> dict[str, Any]:
    difference = _difference(before, after, kind)
    found = difference.frame
    pages = Paginator(range(found.height), PER_PAGE).get_page(page)
    shown = found.slice(pages.start_index() - 1, PER_PAGE) if found.height else found
    files = {
        form: f"{reverse(f'admin:pipeline_capture_difference_{form}', args=[after.pk])}?with={before.version}"
        for form in downloads.FORMATS
    }
    return {
        "changes": [ChangeLine(record) for record in shown.iter_rows(named=True)],
        "page": pages,
        "total": figures.number(found.height),
        "from": figures.number(pages.start_index()),
        "to": figures.number(pages.end_index()),
        "pills": _pills(difference, before, kind),
        "query": f"with={before.version}" + (f"&kind={kind}" if kind else ""),
        "downloads": list(files.items()),
        "api_url": f"{reverse('api_differences')}?{urlencode(_asked(before, after, kind))}",
    }


def _pills(difference: Result, before: Capture, here: ChangeKind | None) -> list[Pill]:
    sums, base = difference.summary, f"with={before.version}"
    counts = {ChangeKind.ADDED: sums.added, ChangeKind.CHANGED: sums.changed, ChangeKind.REMOVED: sums.removed}
    every = Pill("all", figures.number(sum(counts.values())), base, here is None)
    return [
        every,
        *(Pill(kind, figures.number(counts[kind]), f"{base}&kind={kind}", kind == here) for kind in ChangeKind),
    ]


def _kind(asked: Mapping[str, str]) -> ChangeKind | None:
    kind = asked.get("kind", "")
    if kind and kind not in list(ChangeKind):
        raise Http404(f"a row is added, changed or removed, not {kind}")
    return ChangeKind(kind) if kind else None


def _text(value: object) -> str:
    """A figure or a day of one side; empty where that side has no row."""
    if value is None:
        return ""
    return figures.number(value) if isinstance(value, (int, Decimal)) else str(value)
