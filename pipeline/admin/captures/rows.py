"""Rows: found by symbol, issue, venue, week, tier or capture; the latest, or as they were known at an instant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from http import HTTPStatus
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

from pipeline.admin.shared import downloads, figures
from pipeline.admin.shared.days import DayField, InstantField
from pipeline.finra.calendar import Tier, read_day
from pipeline.models import Capture, Partition
from pipeline.models.capture import DOMAIN
from pipeline.resilience.failures import sentence_of
from pipeline.review.row_order import parse_place
from pipeline.review.row_question import RowQuestion
from pipeline.review.row_search import Row, RowPage, TooManyRows, every_row, find
from pipeline.vintages.read import NoSuchVintage
from pipeline.vintages.store import VintageDamaged

PERMISSION = "pipeline.view_capture"
UNANSWERED = (NoSuchVintage, VintageDamaged, OSError)


class RowsForm(forms.Form):
    """The search. Every field is optional: an empty form shows the newest vintage from its start."""

    symbol = forms.CharField(required=False, max_length=40, help_text="such as AAPL", widget=forms.TextInput())
    issue = forms.CharField(required=False, max_length=100, label="Issue name", help_text="part of it")
    venue = forms.CharField(required=False, max_length=100, help_text="MPID, CRD or part of a name")
    week = DayField(required=False, label="Week ending")
    tier = forms.ChoiceField(required=False, choices=[("", "any"), *((tier.value, tier.value) for tier in Tier)])
    as_of = InstantField(required=False, label="As of", help_text="UTC; empty: the latest")
    capture = forms.CharField(required=False, max_length=80, label="Capture", help_text="exactly this vintage")

    def clean_as_of(self) -> datetime | None:
        """An instant that is not to come."""
        instant: datetime | None = self.cleaned_data["as_of"]
        if instant is not None and instant > timezone.now():
            raise forms.ValidationError("what will be known then is not known: choose an instant that has passed")
        return instant

    def clean_week(self) -> date | None:
        """A week of which something is captured."""
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
    """A row, as the table has it."""

    row: Row

    @property
    def symbol(self) -> str:
        return self.row.symbol or "(no symbol)"

    @property
    def venue(self) -> str:
        """The MPID of an ATS, the name of a firm."""
        return self.row.mpid or self.row.venue_name or self.row.crd

    @property
    def further(self) -> str:
        """The further names of the venue."""
        name = self.row.venue_name if self.row.mpid else ""
        return " ".join(filter(None, (name, f"CRD {self.row.crd}" if self.row.crd else "", self.row.product_type)))

    @property
    def shares(self) -> str:
        return figures.number(self.row.shares)

    @property
    def trades(self) -> str:
        return figures.number(self.row.trades)

    @property
    def notional(self) -> str:
        return figures.number(self.row.notional)


def rows(request: HttpRequest) -> HttpResponse:
    """The page."""
    form = _form(request)
    page, trouble = RowPage(), ""
    if form.is_valid():
        try:
            page = find(_question(form, request))
        except UNANSWERED as why:
            trouble = sentence_of(why)
    return _shown(request, form, page, trouble)


def download(request: HttpRequest, form: str) -> HttpResponseBase:
    """All rows that the page's question finds, as CSV or Parquet; the page, with the reason, where that cannot be."""
    asked = _form(request)
    if not asked.is_valid():
        return _shown(request, asked, RowPage(), "", HTTPStatus.BAD_REQUEST)
    try:
        found = every_row(_question(asked, request))
    except (*UNANSWERED, TooManyRows) as why:
        return _shown(request, asked, RowPage(), sentence_of(why), downloads.CANNOT_BE_SERVED)
    return downloads.FORMATS[form]("_".join(("rows", *_named(asked))), found)


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
    words = [asked["symbol"], asked["venue"], str(asked["week"] or ""), asked["tier"]]
    return [re.sub(r"\W+", "-", word) for word in words if word]


def _shown(
    request: HttpRequest, form: RowsForm, page: RowPage, trouble: str, status: int = HTTPStatus.OK
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Rows",
        "form": form,
        "page": page,
        "heading": _heading(page),
        "shares": figures.number(page.totals.shares),
        "trades": figures.number(page.totals.trades),
        "lines": [RowLine(row) for row in page.rows],
        "trouble": trouble,
        "next_url": _address(request, after=str(page.next_place)) if page.next_place else "",
        "older_url": _address(request, before=page.older.isoformat()) if page.older else "",
        "downloads": [(form, reverse(f"rows_{form}") + _address(request)) for form in downloads.FORMATS],
    }
    return TemplateResponse(request, "pipeline/rows.html", context, status=status)


def _heading(page: RowPage) -> str:
    """How much was found, and where."""
    found, weeks = page.totals, sorted({capture.partition.week_ending for capture in page.searched})
    if not weeks:
        return ""
    span = f"week {weeks[0]}" if len(weeks) == 1 else f"weeks {weeks[0]} to {weeks[-1]}"
    return (
        f"{figures.number(found.rows)} row{pluralize(found.rows)} in {found.partitions:,} of {len(page.searched):,} "
        f"partition{pluralize(len(page.searched))} searched, {span}"
    )


def _question(form: RowsForm, request: HttpRequest) -> RowQuestion:
    asked = form.cleaned_data
    return RowQuestion(
        symbol=asked["symbol"],
        issue=asked["issue"],
        venue=asked["venue"],
        week_ending=asked["week"],
        tier=asked["tier"],
        instant=asked["as_of"],
        capture=asked["capture"],
        place=parse_place(request.GET.get("after", "")),
        before=read_day(request.GET.get("before", "")),
    )


def _address(request: HttpRequest, **further: str) -> str:
    """The question that was asked, with what is further asked; a page of its own starts at its first row."""
    dropped = {"after", *further}
    kept = {name: value for name, value in request.GET.items() if name not in dropped and value}
    return "?" + urlencode({**kept, **further})
