"""Wherever the admin names a symbol, a venue or a week in a table or among facts, the name leads to its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from django.test import Client

from pipeline.finra.calendar import read_day
from tests.admin.test_every_address import addresses, ledger_with_everything, signed_in
from tests.management.publications import WEEK

__all__ = ["ledger_with_everything"]

MARKET = "/admin/market/"  # the facts of its pages are of their own subject
WEEKS, SYMBOLS, VENUES = "week_ending=", f"{MARKET}symbol/?", f"{MARKET}venue/?"
LEADS_TO = {
    "week ending": WEEKS,
    "week": WEEKS,
    "symbol": SYMBOLS,
    "venue": VENUES,
    "mpid": VENUES,
    "venue name": VENUES,
}
NAMELESS = {"", "-", "(no symbol)"}
FRIDAY = 4
ELSEWHERE = ("/admin/auth/", "/admin/django_celery_beat/", "/log", "password", "/payload/", ".csv", ".parquet")
ASKED = (
    "/admin/rows/?symbol=AAPL",
    "/admin/rows/?venue=UBSA",
    f"/admin/market/?week_ending={WEEK}",
    f"/admin/market/?week_ending={WEEK}&tier=OTC",
    "/admin/market/venue/?mpid=UBSA&weeks=all",
    "/admin/market/symbol/?symbol=AAPL&weeks=all",
    "/admin/market/symbol/?symbol=AAP",
    "/admin/market/restatements/?from_day=2025-01-01",
    f"/admin/market/compare/?week_ending={WEEK}&a=2025-12-15",
    "/admin/market/search/?q=a",
)


@dataclass
class Cell:
    """A cell of a table, or the words of a fact: its text and where its links lead."""

    text: str = ""
    links: list[str] = field(default_factory=list)


class Names(HTMLParser):
    """The cells of a page under their headers, and its facts under their names."""

    def __init__(self, page: str, *, facts: bool = True) -> None:
        super().__init__()
        self.facts = facts
        self.heads: list[Cell] = []
        self.found: list[tuple[str, Cell]] = []
        self.cell: Cell | None = None
        self.in_head = False
        self.place = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.heads = []
        elif tag == "thead":
            self.in_head = True
        elif tag == "tr":
            self.place = 0
        elif tag in ("td", "th", "dt", "dd"):
            self.cell = Cell()
        elif tag == "a" and self.cell is not None:
            self.cell.links.append(dict(attrs).get("href") or "")

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "thead":
            self.in_head = False
        if tag not in ("td", "th", "dt", "dd") or self.cell is None:
            return
        if tag == "dt" or self.in_head:
            self.heads = [self.cell] if tag == "dt" else [*self.heads, self.cell]
        elif tag == "dd" and self.facts:
            self.found.append((_words(self.heads[-1]), self.cell))
        elif self.place < len(self.heads):
            self.found.append((_words(self.heads[self.place]), self.cell))
        if not self.in_head:
            self.place += 1
        self.cell = None


def _words(head: Cell) -> str:
    return " ".join(head.text.split()).removesuffix(" ?").lower()


def faults(page: str, *, facts: bool = True) -> Iterator[str]:
    """The names on a page that lead nowhere, or elsewhere."""
    for head, cell in Names(page, facts=facts).found:
        text = " ".join(cell.text.split())
        leads_to = LEADS_TO.get(head) or (WEEKS if head == "" and is_week(text) else None)
        if leads_to and text not in NAMELESS and not any(leads_to in link for link in cell.links):
            yield f"{head}: {text[:60]} {cell.links[:2]}"


def is_week(text: str) -> bool:
    """Whether it is a Friday, as a row of a chart's figures begins with it."""
    day = read_day(text)
    return day is not None and day.weekday() == FRIDAY


def seen(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    return answer.getvalue().decode() if answer.headers["Content-Type"].startswith("text/html") else ""


def test_every_symbol_venue_and_week_leads_to_its_page(ledger_with_everything: None) -> None:
    client = signed_in("Administrator")
    pages = [one for one in addresses() if not any(part in one for part in ELSEWHERE)]
    found, names = [], 0
    for address in (*pages, *ASKED):
        page = seen(client, address)
        names += sum(head in LEADS_TO and cell.text.strip() not in NAMELESS for head, cell in Names(page).found)
        found += [f"{address}: {fault}" for fault in faults(page, facts=not address.startswith(MARKET))]
    assert "\n".join(found) == ""
    assert names > 150


@pytest.mark.parametrize(
    ("cells", "number"),
    [
        ("<td>2025-11-14</td><td>AAPL</td>", 2),
        (
            f'<td><a href="{MARKET}?{WEEKS}2025-11-14">2025-11-14</a></td><td><a href="{VENUES}mpid=AAPL">AAPL</a></td>',
            1,
        ),
        (f'<td><a href="{MARKET}?{WEEKS}2025-11-14">2025-11-14</a></td><td>-</td>', 0),
    ],
)
def test_a_name_without_its_link_is_seen(cells: str, number: int) -> None:
    heads = "<thead><tr><th>Week ending</th><th>Symbol</th></tr></thead>"
    assert len(list(faults(f"<table>{heads}<tbody><tr>{cells}</tr></tbody></table>"))) == number
