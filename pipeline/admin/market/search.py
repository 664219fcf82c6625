"""The search field of every page: a week, a capture, a symbol or a venue leads straight to its page."""

from __future__ import annotations

from contextlib import suppress

import polars as pl
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from pipeline import readers
from pipeline.admin.market.frame import PERMISSION, Asked, Contents, MarketForm, MarketPage, Section, text_field
from pipeline.admin.market.market import venue_of
from pipeline.admin.market.symbol import FOUND
from pipeline.admin.market.symbol_week import symbol_of
from pipeline.admin.market.tables import Columns
from pipeline.admin.shared import market_links
from pipeline.admin.shared.base import page_url
from pipeline.finra.calendar import CalendarError, market_today, parse_week
from pipeline.models import Capture
from pipeline.models.capture import DOMAIN
from pipeline.readers import DATASETS, ReadersError

TOP = 25
LONGEST = 100
VENUES = ("mpid", "venue_name", "venue_kind")
IDENTITY = ("mpid", "crd", "venue_name")


class Form(MarketForm):
    """A word."""

    q = text_field("Search", "a symbol, a venue, a week ending or a capture", longest=LONGEST)


def build(asked: Asked) -> Contents:
    """The securities and the venues that a word may mean."""
    word = str(asked.get("q", "")).strip()
    if not word:
        return Contents(())
    found = readers.symbols(q=word, top=TOP).frame
    symbols = Columns(DATASETS["symbols"], FOUND, {"symbol": symbol_of}).table(found, TOP)
    named = _venues(word)
    venues = Columns(DATASETS["venues"], VENUES, {"mpid": venue_of, "venue_name": venue_of}).table(named, TOP)
    return Contents(
        [
            Section(
                "Symbols", "By symbol, other spellings, or the issue's name", None, symbols, "No security is called so."
            ),
            Section(
                "Venues",
                "Of the newest week, the largest first",
                None,
                venues,
                "No venue is called so.",
            ),
        ]
    )


def _venues(word: str) -> pl.DataFrame:
    """The venues of the newest week whose MPID is the word, or whose name has it."""
    board = readers.venues().frame.sort("shares", descending=True).unique(IDENTITY, keep="first", maintain_order=True)
    named = pl.col("venue_name").str.to_lowercase().str.contains(word.lower(), literal=True)
    return board.filter(named | (pl.col("mpid") == word.upper()))


PAGE = MarketPage("market_search", "Search", "A symbol, a venue, a week ending or a capture", Form, build)


def search(request: HttpRequest) -> HttpResponse:
    """Where the word leads, if it names one thing; otherwise what it may mean."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    word = request.GET.get("q", "").strip()
    address = _one(word) if 0 < len(word) <= LONGEST else ""
    return HttpResponseRedirect(address) if address else PAGE(request)


def _one(word: str) -> str:
    """The address of the one thing that a word names; empty where it names none."""
    with suppress(CalendarError):
        return market_links.of_market(parse_week(word, market_today()))
    capture = Capture.objects.filter(capture_id__in=(word, f"{DOMAIN}:{word}")).first()
    if capture is not None:
        return page_url(capture)
    for symbol in dict.fromkeys((word, word.upper())):
        with suppress(ReadersError):
            found = readers.symbols(q=symbol, top=1).frame
            if found.height and found.row(0, named=True)["symbol"] == symbol:
                return market_links.of_symbol(symbol)
    with suppress(ReadersError):
        if readers.row_search(mpid=word.upper(), weeks=13).page(None, 1).frame.height:
            return market_links.of_venue(word.upper())
    return ""
