"""A week as known at two instants, or two weeks: venues, concentration and rows, A beside B."""

from __future__ import annotations

import re

import polars as pl

from pipeline import readers
from pipeline.admin.market.frame import (
    ALL,
    Asked,
    Contents,
    MarketForm,
    MarketPage,
    Section,
    Tile,
    asking,
    caveats_of,
    downloads,
    text_field,
    tier_field,
    week_field,
)
from pipeline.admin.market.slopes import slopes
from pipeline.admin.market.tables import Cell, Columns, Header, Record, Table, entries
from pipeline.admin.shared import figures, market_links
from pipeline.admin.shared.moves import AFTER, concentration_moves, venue_moves
from pipeline.models import HHI_POINTS
from pipeline.readers import DATASETS, Result

TOP = 40
BASIS_POINTS = 10_000
FIRST, LATEST = "first", "latest"
AGE = re.compile(r"([0-9]{1,5}) ?d(ays)?", re.ASCII)
HOW = "empty: first. Or latest, 28 days, a day, 2026-01-05T14:00Z"
VENUES = (
    "Venue",
    "Kind",
    "Share at A",
    "Share at B",
    "Change, bp",
    "Rank at A",
    "Rank at B",
    "Shares at A",
    "Shares at B",
)
MARKETS = ("Tier", "Kind", "HHI at A", "HHI at B", "Change, points")
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


class Form(MarketForm):
    """A week and two vintages of it, or two weeks."""

    week_ending = week_field("Week ending", "empty: the newest complete one")
    a = text_field("As known at A", HOW, longest=40)
    other_week = week_field("Week at B", "empty: the same")
    b = text_field("As known at B", "the same words; empty: latest", longest=40)
    tier = tier_field()


def build(asked: Asked) -> Contents:
    """What is not the same on both sides: venues, concentration, and of one week the rows.

    Without a week the newest in which all is captured; without A and another week, as first published beside the latest.
    """
    if "week_ending" not in asked:
        newest = readers.venues(tier=asked.get("tier", ALL)).meta.inputs
        if not newest:
            return asking("Nothing is captured yet: two vintages are compared here.")
        asked = {**asked, "week_ending": newest[0].week_ending.isoformat()}
    if "a" not in asked and "other_week" not in asked:
        asked = {**asked, "a": FIRST}
    a, b = _side(asked, asked["week_ending"], "a"), _side(asked, asked.get("other_week") or asked["week_ending"], "b")
    boards, markets = ([read(**side) for side in (a, b)] for read in (readers.venues, readers.market))
    sections = [*_venues(boards), *_markets(markets)]
    if a["week_ending"] == b["week_ending"]:
        sections += _rows(asked, boards)
    facts = [(name, f"week ending {side['week_ending']}, {_words(side)}") for name, side in (("A", a), ("B", b))]
    return Contents(sections, facts, caveats_of(*boards), tiles=_tiles(boards, markets), subject=_subject(a, b))


def _side(asked: Asked, week: str, name: str) -> Asked:
    """The question of one side."""
    return {"week_ending": week, "tier": asked.get("tier", ALL), **selector_of(str(asked.get(name, "")))}


def _subject(a: Asked, b: Asked) -> str:
    """What is compared: the vintages of a week, or two weeks."""
    if a["week_ending"] == b["week_ending"]:
        return f"week ending {a['week_ending']}, {_words(a)} and {_words(b)}"
    return f"weeks ending {a['week_ending']} ({_words(a)}) and {b['week_ending']} ({_words(b)})"


def selector_of(words: str) -> Asked:
    """Which vintage is meant, as the readers are asked for it."""
    words = words.strip()
    age = AGE.fullmatch(words)
    if age:
        return {"at_age_days": age[1]}
    if words.lower() in ("", LATEST):
        return {}
    return {"vintage": FIRST} if words.lower() == FIRST else {"as_of": words}


def _words(side: Asked) -> str:
    """A side's vintage, in words."""
    if "at_age_days" in side:
        return f"{side['at_age_days']} days after the due date"
    return "as first published" if "vintage" in side else f"as known at {side['as_of']}" if "as_of" in side else LATEST


def _tiles(boards: list[Result], markets: list[Result]) -> list[Tile]:
    """What an analyst asks first: the largest move, the concentration of ATSs, the vintages."""
    moves = venue_moves(*boards)
    most = moves.row(0, named=True) if moves.height and moves["moved"][0] is not None else None
    largest = f"{_basis_points(most)} bp" if most else figures.NONE
    ats = concentration_moves(*markets).filter(pl.col("venue_kind") == "ATS")
    sides = [ats[name][0] if ats.height == 1 else None for name in ("hhi_low", f"hhi_low{AFTER}")]
    hhi = " to ".join(figures.points(one, one) for one in sides)
    [of_hhi] = entries(DATASETS["market"], "hhi_low")
    inputs = " and ".join(", ".join(f"{one.tier} v{one.version}" for one in board.meta.inputs) for board in boards)
    return [
        Tile("Largest move of a share", largest, (most["mpid"] or most["venue_name"]) if most else ""),
        Tile("HHI of ATSs, A to B", hhi, "points", of_hhi),
        Tile("Vintages", "the same" if len({*map(_inputs, boards)}) == 1 else "two", inputs),
    ]


def _basis_points(record: Record) -> str:
    """By how far a venue's share moved; a dash where one side says nothing of its kind."""
    return figures.NONE if record["moved"] is None else f"{record['moved'] * BASIS_POINTS:+,.2f}"


def _inputs(board: Result) -> tuple[str, ...]:
    return tuple(one.capture_id for one in board.meta.inputs)


def _venues(boards: list[Result]) -> list[Section]:
    """Each venue's share at A and at B, drawn and as a table."""
    moves = venue_moves(*boards)
    if moves.is_empty():
        return [Section("Venues", empty="No venue: nothing of that week was known then.")]
    headers = [Header(name, "", is_number=at > 1) for at, name in enumerate(VENUES)]
    lines = [_line(record) for record in moves.head(TOP).iter_rows(named=True)]
    table = Table(headers, lines, max(0, moves.height - TOP))
    drawn = "Part of ATS volume in percent: the largest ATSs at either side"
    return [
        Section("From A to B", drawn, slopes(moves), entries=entries(DATASETS["venues"], "share")),
        Section("Venues", "Those whose share moved most come first", None, table),
    ]


def _line(record: Record) -> list[Cell]:
    name = record["mpid"] or record["venue_name"]
    url = market_links.of_venue(record["mpid"], record["crd"], record["venue_name"])
    shares, ranks, volumes = ([record[one], record[f"{one}{AFTER}"]] for one in ("share", "rank", "shares"))
    texts = [*map(figures.percent, shares), _basis_points(record)]
    texts += [*map(figures.number, ranks), *(figures.NONE if one is None else f"{one:,.0f}" for one in volumes)]
    kind = Cell("non-ATS" if record["venue_kind"] == "NON_ATS" else record["venue_kind"])
    return [Cell(name, url, record["venue_name"]), kind, *(Cell(text, is_number=True) for text in texts)]


def _markets(markets: list[Result]) -> list[Section]:
    """The concentration at A and at B."""
    lines = []
    for record in concentration_moves(*markets).iter_rows(named=True):
        sides = [(record[f"hhi_low{side}"], record[f"hhi_high{side}"]) for side in ("", AFTER)]
        highs = [high for _, high in sides if high is not None]
        change = f"{(highs[1] - highs[0]) * HHI_POINTS:+,.2f}" if len(highs) == 2 else figures.NONE
        numbers = [*(figures.points(*side) for side in sides), change]
        kind = {"NON_ATS": "non-ATS", ALL: "both"}.get(record["venue_kind"], record["venue_kind"])
        lines.append([Cell(record["tier"]), Cell(kind), *(Cell(one, is_number=True) for one in numbers)])
    headers = [Header(name, "", is_number=at > 1) for at, name in enumerate(MARKETS)]
    lead = "An interval where the pool of small firms takes part: as many firms, and as one"
    return [Section("Concentration", lead, None, Table(headers, lines), "No market.")]


def _rows(asked: Asked, boards: list[Result]) -> list[Section]:
    """The rows that are not the same, of one week."""
    question = _difference(asked, boards)
    if question is None:
        return []
    found = readers.differences(**question)
    links = {
        "symbol": lambda record: market_links.of_symbol(record["symbol"]),
        "mpid": lambda record: market_links.of_venue(record["mpid"], record["crd"]),
        "firm": lambda record: market_links.of_venue(crd=record["crd"], venue_name=record["firm"]),
    }
    table = Columns(DATASETS["differences"], ROWS, links).table(found.frame, TOP)
    caveats = tuple(caveats_of(found))
    lead = "Added, changed, removed: those that moved most shares first"
    return [Section("Rows", lead, None, table, "Every row is the same.", downloads(found, question), caveats)]


def _difference(asked: Asked, boards: list[Result]) -> Asked | None:
    """The question of the rows: by instants where both sides are, else by the captures of the one tier."""
    a, b = (selector_of(str(asked.get(name, ""))) for name in ("a", "b"))
    tier = {"tier": asked["tier"]} if asked.get("tier", ALL) != ALL else {}
    if "as_of" in a and ("as_of" in b or not b):
        until = {"to_as_of": b["as_of"]} if b else {}
        return {"week_ending": asked["week_ending"], "from_as_of": a["as_of"], **until, **tier}
    before, after = (board.meta.inputs for board in boards)
    if tier and len(before) == len(after) == 1 and before != after:
        return {"from_capture": before[0].capture_id, "to_capture": after[0].capture_id}
    return None


PAGE = MarketPage(
    "market_compare", "Compare", "What differs between two vintages of a week, or between two weeks?", Form, build
)
