"""Rows: found by symbol, issue, venue, week, tier or capture; the latest, or as they were known at an instant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from pipeline.admin.captures.row_question import Answer, RowQuestion, answer
from pipeline.admin.shared import downloads, figures, market_links
from pipeline.admin.shared.base import page_url
from pipeline.admin.shared.days import DayField, InstantField
from pipeline.finra.calendar import Tier, read_day
from pipeline.finra.plain_text import as_sentence, capitalized
from pipeline.models import Capture, Partition
from pipeline.models.capture import DOMAIN
from pipeline.readers import ReadersError
from pipeline.readers.parameters import SAMPLES
from pipeline.readers.result import Page, Place
from pipeline.resilience.failures import sentence_of

PERMISSION = "pipeline.view_capture"
PAGE = 100
MOST_DOWNLOADED = 500_000
CAVEATS_SHOWN = 5
UNANSWERED = (ReadersError, OSError)
NOTHING = "nothing is captured there yet"
SCALARS = (str, int, float, type(None))
ORDERS = [("", "newest week first"), ("shares", "most shares first")]


class RowsForm(forms.Form):
    """The search. Every field is optional: an empty form shows the newest vintage from its start."""

    symbol = forms.CharField(required=False, max_length=40, help_text="such as AAPL", widget=forms.TextInput())
    issue = forms.CharField(required=False, max_length=100, label="Issue name", help_text="part of it")
    venue = forms.CharField(required=False, max_length=100, help_text="MPID, CRD or part of a name")
    week = DayField(required=False, label="Week ending")
    tier = forms.ChoiceField(required=False, choices=[("", "any"), *((tier.value, tier.value) for tier in Tier)])
    as_of = InstantField(required=False, label="As of", help_text="UTC; empty: the latest")
    capture = forms.CharField(required=False, max_length=80, label="Capture", help_text="exactly this vintage")
    sort = forms.ChoiceField(required=False, choices=ORDERS, label="Order")

    def clean_as_of(self) -> datetime | None:
        """An instant that has passed."""
        instant: datetime | None = self.cleaned_data["as_of"]
        if instant is not None and instant > timezone.now():
            raise forms.ValidationError("this instant is in the future: choose one that has passed")
        return instant

    def clean_week(self) -> date | None:
        """A week with a capture."""
        week: date | None = self.cleaned_data["week"]
        if week is not None and not Partition.objects.filter(week_ending=week, latest__isnull=False).exists():
            raise forms.ValidationError(f"nothing is captured of a week ending {week}: weeks end on a Friday")
        return week

    def clean_capture(self) -> Capture | None:
        """The capture of that id."""
        wanted = self.cleaned_data["capture"].strip()
        if not wanted:
            return None
        named = Q(capture_id=wanted) | Q(capture_id=f"{DOMAIN}:{wanted}")  # as lists show it
        found = Capture.objects.select_related("partition").filter(named).first()
        if found is None:
            raise forms.ValidationError(f"there is no capture {wanted}")
        return found


@dataclass(frozen=True, slots=True)
class RowLine:
    """A row of the answer, as the table has it, and the page of its capture."""

    row: Mapping[str, Any]
    capture_url: str

    @property
    def week_url(self) -> str:
        return market_links.of_market(self.row["week_ending"])

    @property
    def further(self) -> str:
        """The further names of the venue."""
        name = self.row["venue_name"] if self.row["mpid"] else ""
        crd = f"CRD {self.row['crd']}" if self.row["crd"] else ""
        return " ".join(filter(None, (name, crd, self.row["product_type"])))

    @property
    def shares(self) -> str:
        return figures.number(self.row["shares"])

    @property
    def trades(self) -> str:
        return figures.number(self.row["trades"])

    @property
    def notional(self) -> str:
        return figures.number(self.row["notional"])


@dataclass(frozen=True, slots=True)
class Shown:
    """The page's contents: an answer, a page of its rows, and caveats; or why there is no answer."""

    answer: Answer | None = None
    page: Page | None = None
    notes: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def lines(self) -> list[RowLine]:
        """The rows of the page. One query."""
        if self.page is None or self.page.frame.is_empty():
            return []
        ids = self.page.frame["capture_id"].unique().to_list()
        urls = {one.capture_id: page_url(one) for one in Capture.objects.filter(capture_id__in=ids)}
        return [RowLine(row, urls[row["capture_id"]]) for row in self.page.frame.iter_rows(named=True)]


def rows(request: HttpRequest) -> HttpResponse:
    """The page."""
    form = _form(request)
    return _response(request, form, _shown(form, request) if form.is_valid() else Shown())


def download(request: HttpRequest, form: str) -> HttpResponseBase:
    """All rows that the page's question finds, as CSV or Parquet; where there can be no file, the page with the reason."""
    asked = _form(request)
    if not asked.is_valid():
        return _response(request, asked, Shown(), HTTPStatus.BAD_REQUEST)
    try:
        found = answer(_question(asked, request))
        many = found.result.summary.rows if found else 0
        if found and many <= MOST_DOWNLOADED:
            return downloads.FORMATS[form]("_".join(("rows", *_named(asked))), found.result.frame)
    except UNANSWERED as why:
        return _response(request, asked, Shown(trouble=sentence_of(why)), downloads.CANNOT_BE_SERVED)
    told = f"{many:,} rows fit, and a download has at most {MOST_DOWNLOADED:,}: narrow the search" if found else NOTHING
    return _response(request, asked, Shown(trouble=told), downloads.CANNOT_BE_SERVED)


def urls() -> list[URLPattern]:
    """The page, and a download of each form."""
    return [
        path("admin/rows/", admin.site.admin_view(rows), name="rows"),
        *(
            path(f"admin/rows.{form}", admin.site.admin_view(partial(download, form=form)), name=f"rows_{form}")
            for form in downloads.FORMATS
        ),
    ]


def _form(request: HttpRequest) -> RowsForm:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return RowsForm(request.GET)


def _named(form: RowsForm) -> list[str]:
    """The part of a file's name that comes from the question."""
    asked = form.cleaned_data
    capture: Capture | None = asked["capture"]
    if capture is not None:
        return [capture.capture_id.removeprefix(f"{DOMAIN}:").replace(":", "_")]
    words = [asked["symbol"], asked["issue"], asked["venue"], str(asked["week"] or ""), asked["tier"]]
    return [re.sub(r"\W+", "-", word) for word in words if word]


def _shown(form: RowsForm, request: HttpRequest) -> Shown:
    """The answer to the question, or why there is none."""
    try:
        found = answer(_question(form, request))
        if found is None:
            return Shown(notes=(NOTHING,))
        page = found.result.page(_place(request.GET.get("after", "")), PAGE)
        return Shown(found, page, (*_inexact(found, page), *_caveats(found)))
    except UNANSWERED as why:
        return Shown(trouble=sentence_of(why))


def _inexact(found: Answer, page: Page) -> tuple[str, ...]:
    """Sentences about words that only parts of names match."""
    numbers = {"symbol": found.result.summary.symbols, "venue_name": found.result.summary.venues}
    if page.frame.is_empty():
        return ()
    return tuple(one.note(page.frame[one.column].sort(), numbers[one.column]) for one in found.inexact)


def _caveats(found: Answer) -> list[str]:
    """The readers' caveats about the answer; of many the first ones."""
    told = [one.text for one in found.result.warnings if one != SAMPLES]  # which every page says
    more = len(told) - CAVEATS_SHOWN
    return [*told[:CAVEATS_SHOWN], *([f"and {more:,} more such remarks, which the API has"] if more > 0 else [])]


def _response(request: HttpRequest, form: RowsForm, shown: Shown, status: int = HTTPStatus.OK) -> HttpResponse:
    found, page = shown.answer, shown.page
    sums = found.result.summary if found else None
    context = {
        **admin.site.each_context(request),
        "title": "Rows",
        "form": form,
        "notes": [as_sentence(capitalized(note)) for note in shown.notes],
        "trouble": as_sentence(capitalized(shown.trouble)) if shown.trouble else "",
        "heading": _heading(found) if found else "",
        "shares": figures.number(sums.shares if sums else Decimal(0)),
        "trades": figures.number(sums.trades if sums else 0),
        "lines": shown.lines,
        "next_url": _address(request, after=json.dumps(page.next)) if page and page.next else "",
        "older_url": _address(request, before=found.older.isoformat()) if found and found.older else "",
        "downloads": [(form, reverse(f"rows_{form}") + _address(request)) for form in downloads.FORMATS],
        "api_url": f"{reverse('api_row_search')}?{urlencode(found.asked, doseq=True)}" if found else "",
    }
    return TemplateResponse(request, "pipeline/rows.html", context, status=status)


def _heading(found: Answer) -> str:
    """How many rows were found, and where."""
    sums, searched = found.result.summary, found.result.meta.inputs
    weeks = sorted({one.week_ending for one in searched})
    if not weeks:
        return ""
    span = f"week {weeks[0]}" if len(weeks) == 1 else f"weeks {weeks[0]} to {weeks[-1]}"
    return (
        f"{figures.number(sums.rows)} row{pluralize(sums.rows)} in {sums.partitions:,} of {len(searched):,} "
        f"partition{pluralize(len(searched))} searched, {span}"
    )


def _question(form: RowsForm, request: HttpRequest) -> RowQuestion:
    return RowQuestion(**form.cleaned_data, before=read_day(request.GET.get("before", "")))


def _place(text: str) -> Place | None:
    """The place in an address where the page before ended; None for a text that no page wrote."""
    try:
        place = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_place = isinstance(place, list) and all(isinstance(one, SCALARS) for one in place)
    return tuple(place) if is_place else None


def _address(request: HttpRequest, **further: str) -> str:
    """The address of the same question with further parameters; it starts at the first row."""
    dropped = {"after", *further}
    kept = {name: value for name, value in request.GET.items() if name not in dropped and value}
    return "?" + urlencode({**kept, **further})
