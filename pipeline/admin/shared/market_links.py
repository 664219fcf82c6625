"""Links from symbols, venues and weeks, anywhere in the admin, to the market pages."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pipeline.admin.shared import figures


def of_market(week_ending: date | None = None, **asked: str) -> str:
    """The market page, of a week where one is given."""
    return _address("market", week_ending=week_ending.isoformat() if week_ending else "", **asked)


def week_link(week_ending: date | None) -> SafeString | str:
    """A week as a link to its market page, which leads on to its verdicts; a dash for none."""
    if week_ending is None:
        return figures.NONE
    return format_html('<a class="ms-link" href="{}">{}</a>', of_market(week_ending), week_ending.isoformat())


def of_symbol(symbol: str, **asked: str) -> str:
    """The page of a symbol; empty for rows of FINRA's without a symbol."""
    return _address("market_symbol", symbol=symbol, **asked) if symbol else ""


def of_venue(mpid: str = "", crd: str = "", venue_name: str = "", **asked: str) -> str:
    """The page of a venue: by its MPID, or, for a firm without an ATS, by CRD number or name."""
    if mpid:
        return _address("market_venue", mpid=mpid, **asked)
    return _address("market_venue", crd=crd, venue_name="" if crd else venue_name, **asked)


def of_rows(week_ending: date, *, tier: str = "", symbol: str = "", venue: str = "", **known: str) -> str:
    """The rows of a week, of a tier, a symbol, a venue; `known` is as_of or capture."""
    return _address("rows", week=week_ending.isoformat(), tier=tier, symbol=symbol, venue=venue, **known)


def _address(name: str, **asked: str) -> str:
    given = {key: value for key, value in asked.items() if value}
    return reverse(name) + (f"?{urlencode(given)}" if given else "")
