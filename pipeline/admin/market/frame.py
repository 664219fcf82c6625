"""What the analyst's pages share: a question, filters in the address, sections of charts and tables, ways out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from pipeline.admin.market.tables import Table
from pipeline.admin.shared.charts import Chart
from pipeline.finra.calendar import Tier, due_date, market_today
from pipeline.readers import ReadersError, Result, revision_sentence

PERMISSION = "pipeline.view_analyticssnapshot"
ALL = "ALL"
KINDS = [(ALL, "ATS and non-ATS"), ("ATS", "ATS"), ("NON_ATS", "non-ATS")]
TIERS = [(ALL, "all tiers"), *((tier.value, tier.value) for tier in Tier)]
SPANS = [("13", "13 weeks"), ("26", "26 weeks"), ("52", "52 weeks"), ("all", "all weeks")]
Asked = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Download:
    """The same answer elsewhere: a file, or the address of the API."""

    name: str
    icon: str
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: what it shows, a chart, a table, and where the table is to be had whole."""

    title: str
    lead: str = ""
    chart: Chart | None = None
    table: Table | None = None
    empty: str = ""
    downloads: tuple[Download, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """What a page shows of an answer: facts of the whole of it, what to beware of, the sections."""

    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = ()
    caveats: Sequence[str] = ()


class MarketForm(forms.Form):
    """Filters that are the keywords of the readers, and the parameters of the API, by the same names."""

    def asked(self) -> Asked:
        """What is asked for: the fields that are filled in."""
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}


def tier_field() -> forms.ChoiceField:
    """One tier, or figures over all of them."""
    return forms.ChoiceField(required=False, choices=TIERS)


def kind_field() -> forms.ChoiceField:
    """ATSs, other firms, or both."""
    return forms.ChoiceField(required=False, choices=KINDS, label="Kind")


def span_field() -> forms.ChoiceField:
    """How many weeks back."""
    return forms.ChoiceField(required=False, choices=SPANS, label="Weeks")


def text_field(label: str, help_text: str = "", *, longest: int = 100) -> forms.CharField:
    """A word; an optional one."""
    return forms.CharField(required=False, label=label, help_text=help_text, max_length=longest)


def as_of_field(label: str = "As of") -> forms.CharField:
    """A day, which is its end in New York, or an instant with its offset."""
    return text_field(label, "a day, or 2026-01-05T14:00Z; empty: the latest", longest=40)


def vintage_field() -> forms.ChoiceField:
    """The latest vintage of each partition, or the first."""
    return forms.ChoiceField(required=False, choices=[("", "latest"), ("first", "as first published")], label="Vintage")


@dataclass(frozen=True, slots=True)
class MarketPage:
    """A page: its name, its title, its question, its filters and what it builds from them."""

    name: str
    title: str
    question: str
    form: type[MarketForm]
    build: Callable[[Asked], Contents]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The page; where the question has no answer, why, with the status that says so."""
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        form = self.form(request.GET)
        contents, trouble, status = Contents(()), "", HTTPStatus.OK
        if form.is_valid():
            try:
                contents = self.build(form.asked())
            except ReadersError as error:
                trouble, status = error.detail, HTTPStatus(error.status)
        else:
            status = HTTPStatus.BAD_REQUEST
        context = {
            **admin.site.each_context(request),
            "title": self.title,
            "question": self.question,
            "form": form,
            "contents": contents,
            "trouble": trouble,
        }
        return TemplateResponse(request, "pipeline/market/page.html", context, status=status)


def asking(what: str) -> Contents:
    """The page of a question that lacks what it is about."""
    return Contents([Section("Nothing is asked for yet", empty=what)])


def downloads(result: Result, asked: Asked) -> tuple[Download, ...]:
    """A whole answer as CSV, as Parquet, and from the API: the readers' dataset, asked the same."""
    address = reverse(f"api_{result.dataset.name}")
    plain = {name: value for name, value in asked.items() if value not in ("", None)}
    return tuple(
        Download(name, icon, f"{address}?{urlencode({**plain, **form}, doseq=True)}")
        for name, icon, form in (
            ("CSV", "download", {"format": "csv"}),
            ("Parquet", "download", {"format": "parquet"}),
            ("API", "api", {}),
        )
    )


def facts_of(result: Result) -> list[tuple[str, str]]:
    """What an answer says of itself: as of when, from how many vintages, what is lacking."""
    meta = result.meta
    lacking = len(meta.coverage.missing)
    known = f"{meta.as_of:%Y-%m-%d %H:%M} UTC" if meta.as_of else "nothing is captured"
    complete = "complete" if not lacking else f"{lacking} partitions lacking"
    return [("As of", known), ("Vintages", f"{len(meta.inputs):,}"), ("Coverage", complete)]


def caveats_of(*results: Result) -> list[str]:
    """What to beware of in some answers, each once."""
    return list(dict.fromkeys(one.text for result in results for one in result.warnings))


def without(asked: Asked, *names: str) -> Asked:
    """The question without some of its keywords."""
    return {name: value for name, value in asked.items() if name not in names}


def revision_sentences(week_ending: date, tiers: Iterable[str], kind: str = ALL) -> tuple[str, ...]:
    """How much weeks of this age still move, a sentence for each tier that is due."""
    today, found = market_today(), []
    for tier in map(Tier, tiers):
        age = (today - due_date(tier, week_ending)).days
        if age >= 0:
            found.append(revision_sentence(tier.value, kind, age))
    return tuple(found)
