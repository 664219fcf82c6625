"""Rows: of a symbol over the weeks, or of one vintage; the latest, or as they were known at an instant."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from pipeline import browsing
from pipeline.admin.days import DayField, InstantField
from pipeline.browsing import Page, Place, Question, Row
from pipeline.calendar import Tier, read_day
from pipeline.models import Capture, Partition
from pipeline.models.capture import DOMAIN
from pipeline.row_versions import NoSuchVintage

PERMISSION = "pipeline.view_rowversion"
PLACE = re.compile(r"(\d{1,9})\|(\d{1,9})\|(\d{1,9})\|([^|\x00]{0,40})\|(\d{1,9})")


class RowsForm(forms.Form):
    """What to look for. Everything is optional: without anything, the newest vintage from its start."""

    symbol = forms.CharField(required=False, max_length=40, help_text="such as AAPL", widget=forms.TextInput())
    venue = forms.CharField(required=False, max_length=100, help_text="MPID, or part of a firm's name")
    week = DayField(required=False, label="Week ending")
    tier = forms.ChoiceField(required=False, choices=[("", "any"), *((tier.value, tier.value) for tier in Tier)])
    as_of = InstantField(required=False, label="As of", help_text="UTC; empty: the latest")
    capture = forms.CharField(
        required=False, max_length=80, label="Capture", help_text="a capture_id: exactly this vintage"
    )

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


def rows(request: HttpRequest) -> HttpResponse:
    """The page."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = RowsForm(request.GET)
    page, trouble = Page(), ""
    if form.is_valid():
        try:
            page = browsing.find(_question(form, request))
        except NoSuchVintage as error:
            trouble = str(error)
    context = {
        **admin.site.each_context(request),
        "title": "Rows",
        "form": form,
        "page": page,
        "partitions": len({row.capture.partition_id for row in page.rows}),
        "note": _note(form, page) if form.is_valid() else "",
        "lines": [_line(row) for row in page.rows],
        "trouble": trouble,
        "next_url": _going_on(request, page),
    }
    return TemplateResponse(request, "pipeline/rows.html", context)


def _note(form: RowsForm, page: Page) -> str:
    """What a person would not guess: that other symbols were found, and that one vintage alone was searched."""
    asked = form.cleaned_data
    symbol, found = asked["symbol"].strip(), sorted({row.row.security.symbol for row in page.rows})
    notes = [page.note] if page.note else []
    if symbol and found and not {symbol, symbol.upper()} & set(found):
        notes.append(f"there is no symbol {symbol}: these are of {', '.join(found)}")
    if asked["venue"].strip() and not symbol and not asked["capture"] and page.captures:
        one = page.captures[0]
        notes.append(f"without a symbol a venue is looked for in one partition: {one.partition}; choose week and tier")
    return "; ".join(notes)


def _question(form: RowsForm, request: HttpRequest) -> Question:
    asked = form.cleaned_data
    return Question(
        symbol=asked["symbol"].strip(),
        venue=asked["venue"].strip(),
        week_ending=asked["week"],
        tier=asked["tier"],
        instant=asked["as_of"],
        capture=asked["capture"],
        place=_place(request.GET.get("after", "")),
        before=read_day(request.GET.get("before", "")),
    )


def _place(text: str) -> Place | None:
    """Where the page before ended, as its link had it; None for anything else."""
    parts = PLACE.fullmatch(text)
    if parts is None:
        return None
    partition, security, venue, product_type, first_version = parts.groups()
    return int(partition), int(security), int(venue), product_type, int(first_version)


def _going_on(request: HttpRequest, page: Page) -> str:
    """The address of the next page; empty on the last."""
    kept = {name: value for name, value in request.GET.items() if name not in ("after", "before") and value}
    if page.next_place is not None:
        return "?" + urlencode({**kept, "after": "|".join(map(str, page.next_place))})
    return "?" + urlencode({**kept, "before": page.older.isoformat()}) if page.older else ""


def _line(found: Row) -> dict[str, Any]:
    """A row, as the table has it."""
    row, capture = found.row, found.capture
    held = f"{row.first_version}-{row.last_version}" if row.last_version else f"{row.first_version}-"
    return {
        "capture": capture,
        "security": row.security,
        "venue": row.venue,
        "product_type": row.product_type,
        "shares": f"{row.shares:,f}",
        "trades": f"{row.trades:,}",
        "notional": "" if row.notional is None else f"{row.notional:,f}",
        "last_update_date": row.last_update_date,
        "held": held,
    }
