"""What the analyst's pages share: a question, filters in the address, sections of charts and tables, ways out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from pipeline.admin.market.chips import Chip
from pipeline.admin.market.tables import Entry, Link, Record, Table
from pipeline.admin.shared import market_links
from pipeline.admin.shared.charts import Chart
from pipeline.finra.calendar import FIRST_WEEK, WEEK, Tier, read_day
from pipeline.finra.plain_text import as_sentence, capitalized
from pipeline.readers import ReadersError, Result, fields
from pipeline.readers.once import one_page

PERMISSION = "pipeline.view_analyticssnapshot"
ALL = "ALL"
SELECTORS = ("as_of", "vintage")  # chosen above the filters, since an address has one of them
TOLD_ELSEWHERE = {"samples"}  # every page of a ledger of samples says so first
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
class Fold:
    """The rest of a table: a line that says what it comes to, and opens it."""

    line: str
    table: Table


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: what it shows, a chart, a table, and where the table is to be had whole.

    `entries` are the dictionary's, of what a chart draws. A `narrow` one stands beside the next, where there is room; a
    `folded` one shows its table when it is opened.
    """

    title: str
    lead: str = ""
    chart: Chart | None = None
    table: Table | None = None
    empty: str = ""
    downloads: tuple[Download, ...] = ()
    sentences: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    narrow: bool = False
    folded: bool = False
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that answers the page's question: its name, the figure, what it was before, where it comes from."""

    name: str
    figure: str
    more: str = ""
    entry: Entry | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a page shows of an answer: facts of the whole of it, what to beware of, the figures first, then the sections.

    `subject` stands in the title: the week, the symbol or the venue that the page is about.
    """

    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = ()
    caveats: Sequence[str] = ()
    chips: Sequence[Chip] = ()
    tiles: Sequence[Tile] = ()
    as_of: datetime | None = None
    subject: str = ""

    @property
    def entries(self) -> list[Entry]:
        """What the dictionary says of every measure on the page, each once."""
        tables = [section.table for section in self.sections if section.table and section.table.lines]
        headers = [header.entry for table in tables for header in table.headers]
        every = [*(tile.entry for tile in self.tiles), *headers]
        every += [entry for section in self.sections for entry in section.entries]
        return list({entry.anchor: entry for entry in every if entry}.values())


class MarketForm(forms.Form):
    """Filters that are the keywords of the readers, and the parameters of the API, by the same names."""

    def asked(self) -> Asked:
        """What is asked for: the fields that are filled in."""
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def filters(self) -> list[forms.BoundField]:
        """The fields but the selector."""
        return [field for field in self if field.name not in SELECTORS]

    def selected(self) -> Asked:
        """The selector that is asked for, by its parameter."""
        return {name: self.data[name] for name in SELECTORS if name in self.fields and self.data.get(name)}

    def others(self) -> Asked:
        """What else is asked for."""
        return {field.name: value for field in self.filters() if (value := self.data.get(field.name))}

    def pinned(self, as_of: datetime | None) -> str:
        """The address that shows the same for ever; empty where this one does, or nothing is captured."""
        if as_of is None or self.selected() or "as_of" not in self.fields:
            return ""
        return "?" + urlencode({**self.others(), "as_of": as_of.isoformat().replace("+00:00", "Z")})

    def known(self) -> list[tuple[str, str, bool]]:
        """The vintages that a page can be switched to: words, address, whether it shows that one."""
        now = self.selected()
        choices = {"Latest": dict[str, Any](), "First published": {"vintage": "first"}}
        return [(words, "?" + urlencode({**self.others(), **one}), one == now) for words, one in choices.items()]


def tier_field() -> forms.ChoiceField:
    """One tier, or figures over all of them."""
    return forms.ChoiceField(required=False, choices=TIERS)


def kind_field(label: str = "Kind") -> forms.ChoiceField:
    """ATSs, other firms, or both."""
    return forms.ChoiceField(required=False, choices=KINDS, label=label)


def span_field() -> forms.ChoiceField:
    """How many weeks back."""
    return forms.ChoiceField(required=False, choices=SPANS, label="Weeks")


def text_field(label: str, help_text: str = "", *, longest: int = 100) -> forms.CharField:
    """A word; an optional one."""
    return forms.CharField(required=False, label=label, help_text=help_text, max_length=longest)


def week_field(label: str, help_text: str) -> forms.CharField:
    """A week ending; the browser offers Fridays only."""
    widget = forms.DateInput(attrs={"type": "date", "step": "7", "min": FIRST_WEEK.isoformat()})
    return forms.CharField(required=False, label=label, help_text=help_text, max_length=10, widget=widget)


def day_field(label: str, help_text: str) -> forms.CharField:
    """A day; the browser offers a calendar."""
    widget = forms.DateInput(attrs={"type": "date"})
    return forms.CharField(required=False, label=label, help_text=help_text, max_length=10, widget=widget)


def as_of_field(label: str = "As of") -> forms.CharField:
    """A day, which is its end in New York, or an instant with its offset."""
    field = text_field(label, "a day, or 2026-01-05T14:00Z; empty: the latest", longest=40)
    field.widget.attrs["placeholder"] = "day, or 2026-01-05T14:00Z"
    return field


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
                with one_page():
                    contents = self.build(form.asked())
            except ReadersError as error:
                trouble, status = as_sentence(capitalized(error.detail)), HTTPStatus(error.status)
        else:
            status = HTTPStatus.BAD_REQUEST
        context = {
            **admin.site.each_context(request),
            "title": f"{self.title}: {contents.subject}" if contents.subject else self.title,
            "question": self.question,
            "form": form,
            "contents": contents,
            "trouble": trouble,
            "pinned": form.pinned(contents.as_of),
            "source": fields.SOURCE,
            "terms": fields.TERMS,
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
    """Sentences on what to beware of in some answers, each once."""
    every = (one for result in results for one in result.warnings)
    texts = dict.fromkeys(one.text for one in every if one.code not in TOLD_ELSEWHERE)
    return [as_sentence(capitalized(text)) for text in texts]


def without(asked: Asked, *names: str) -> Asked:
    """The question without some of its keywords."""
    return {name: value for name, value in asked.items() if name not in names}


def span_of(asked: Asked) -> Asked:
    """The weeks up to the one that is asked for, so many; without one, up to the newest that is due."""
    weeks = asked.get("weeks") or SPANS[0][0]
    over = {**without(asked, "week_ending"), "weeks": weeks}
    last = read_day(str(asked.get("week_ending", "")))
    if last is None or weeks == SPANS[-1][0]:
        return over
    first = max(FIRST_WEEK, last - (int(weeks) - 1) * WEEK)
    return {**without(over, "weeks"), "from_week": first.isoformat(), "to_week": last.isoformat()}


def rows_behind(answer: Result, asked: Asked) -> Link:
    """The way from a figure of an answer to the rows that it is made of, in the same vintages."""
    known = {"as_of": _to_the_second(answer.meta.as_of)} if "as_of" in asked and answer.meta.as_of else {}
    if asked.get("vintage") == "first":
        known = {"capture": answer.meta.inputs[0].capture_id} if len(answer.meta.inputs) == 1 else {}

    def link(record: Record) -> str:
        if "vintage" in asked and not known:
            return ""
        tier, venue = str(record.get("tier") or ""), str(record.get("mpid") or record.get("venue_name") or "")
        symbol = str(record.get("symbol") or asked.get("symbol") or "")
        tier = "" if tier == ALL else tier
        return market_links.of_rows(record["week_ending"], tier=tier, symbol=symbol, venue=venue, **known)

    return link


def _to_the_second(instant: datetime) -> str:
    """The first whole second, in UTC, at which all was known that was at an instant."""
    up = instant.astimezone(UTC) + timedelta(microseconds=999_999)
    return f"{up:%Y-%m-%dT%H:%M:%S}"
