"""The same week at two instants: rows, venues and concentration, before and after."""

from __future__ import annotations

import polars as pl

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    as_of_field,
    asking,
    caveats_of,
    downloads,
    text_field,
    tier_field,
)
from pipeline.admin.market.symbol_week import symbol_of
from pipeline.admin.market.tables import Cell, Columns, Header, Table
from pipeline.admin.shared import figures, market_links
from pipeline.readers import DATASETS

TOP = 40
ROWS = (
    "tier",
    "change",
    "symbol",
    "mpid",
    "firm",
    "shares_before",
    "shares_after",
    "shares_change",
    "trades_before",
    "trades_after",
)
IDENTITY = ("tier", "venue_kind", "mpid", "crd", "venue_name")


class Form(MarketForm):
    """A week and two instants."""

    week_ending = text_field("Week ending", "a Friday", longest=10)
    tier = tier_field()
    a = as_of_field("As known at A")
    b = as_of_field("As known at B")


def build(asked: Asked) -> Contents:
    """What changed between the two: counts, venues, rows."""
    if "week_ending" not in asked or "a" not in asked:
        return asking(
            "Which week, and as known when? Give a week ending and A; without B, A is compared with the latest."
        )
    before, after = {"as_of": asked["a"]}, ({"as_of": asked["b"]} if "b" in asked else {})
    week = {"week_ending": asked["week_ending"], "tier": asked.get("tier", ALL)}
    return Contents([*_venues(week, before, after), *_rows(asked)], _figures(week, before, after))


def _figures(week: Asked, before: Asked, after: Asked) -> list[tuple[str, str]]:
    """The concentration of ATSs at both."""
    found = []
    for name, known in (("A", before), ("B", after)):
        market = readers.market(**week, **known).frame.filter(pl.col("venue_kind") == "ATS")
        hhi = market.row(0, named=True)["hhi_low"] if market.height else None
        found.append((f"HHI of ATSs at {name}", figures.points(hhi, hhi)))
    return found


def _venues(week: Asked, before: Asked, after: Asked) -> list[Section]:
    """Each venue's share at A and at B."""
    a, b = readers.venues(**week, **before), readers.venues(**week, **after)
    shares = pl.col("share"), pl.col("rank")
    joined = a.frame.select(*IDENTITY, *(one.name.suffix("_a") for one in shares)).join(
        b.frame.select(*IDENTITY, *(one.name.suffix("_b") for one in shares)), on=IDENTITY, how="full", coalesce=True
    )
    moved = joined.with_columns((pl.col("share_b").fill_null(0) - pl.col("share_a").fill_null(0)).alias("moved"))
    most = moved.sort(pl.col("moved").abs(), "rank_b", descending=[True, False]).head(TOP)
    headers = [
        Header(name, "", is_number=at > 1)
        for at, name in enumerate(("Venue", "Kind", "Share at A", "Share at B", "Change"))
    ]
    lines = [_line(record) for record in most.iter_rows(named=True)]
    lead = "Those whose share moved most"
    return [Section("Venues", lead, None, Table(headers, lines, max(0, joined.height - TOP)), "No venue.")]


def _line(record: dict[str, object]) -> list[Cell]:
    mpid, crd, name = (str(record[part]) for part in ("mpid", "crd", "venue_name"))
    a, b, moved = record["share_a"], record["share_b"], record["moved"]
    return [
        Cell(mpid or name, market_links.of_venue(mpid, crd, name)),
        Cell(str(record["venue_kind"])),
        Cell(figures.percent(a), is_number=True),  # type: ignore[arg-type]
        Cell(figures.percent(b), is_number=True),  # type: ignore[arg-type]
        Cell(figures.percent_points(moved), is_number=True),  # type: ignore[arg-type]
    ]


def _rows(asked: Asked) -> list[Section]:
    """The rows that are not the same."""
    question = {"week_ending": asked["week_ending"], "from_as_of": asked["a"]}
    if "b" in asked:
        question["to_as_of"] = asked["b"]
    if asked.get("tier") not in (None, ALL):
        question["tier"] = asked["tier"]
    found = readers.differences(**question)
    table = Columns(DATASETS["differences"], ROWS, {"symbol": symbol_of}).table(found.frame, TOP)
    empty = "Every row is the same."
    caveats = tuple(f"{one}." for one in caveats_of(found))
    return [Section("Rows", "Added, changed, removed", None, table, empty, downloads(found, question), caveats)]


PAGE = MarketPage("market_compare", "Compare", "What did we know of a week at two instants?", Form, build)
