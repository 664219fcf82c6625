"""Random requests of random ledgers, held to a plain reading in Python; the dictionary, held to the frames; the ETag."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
import time_machine

from pipeline import readers
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.models import Capture
from pipeline.readers.answers import FUNCTIONS
from pipeline.weeks import analytics
from tests.readers.test_rows import kind_of
from tests.support.engines import Ledger
from tests.vintages.frames import WEEK, Line, stored

START = datetime(2025, 12, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEKS = [WEEK - 7 * back * DAY for back in range(3)]
SYMBOLS = ["AAPL", "BRK.B", "ABRpD", "NAN", "=1+1"]
VENUES = ["UBSA", "SGMT", "INCR", "A firm", "B firm", "De Minimis Firms"]


@dataclass(frozen=True)
class Known:
    """A vintage: its partition, since when it is known, and its lines."""

    key: PartitionKey
    version: int
    known: datetime
    lines: list[Line]


@pytest.fixture
def vintages(ledger: Ledger) -> Iterator[list[Known]]:
    """Random vintages of random partitions; the seed is printed."""
    seed = 20261126
    print("seed", seed)
    chance, found, now = random.Random(seed), list[Known](), START
    versions: dict[PartitionKey, int] = defaultdict(int)
    for _ in range(14):
        key = PartitionKey(chance.choice(WEEKS), chance.choice([Tier.OTC, Tier.NMS_TIER_1]))
        cells = chance.sample([(symbol, venue) for symbol in SYMBOLS for venue in VENUES], chance.randint(3, 12))
        lines = [
            (symbol, venue, f"{chance.randint(1, 10**9)}.{chance.randint(0, 99):02}", chance.randint(1, 9))
            for symbol, venue in cells
        ]
        now += timedelta(hours=chance.randint(1, 60))
        versions[key] += 1
        stored(lines, now, key=key)
        found.append(Known(key, versions[key], now, lines))
    with time_machine.travel(datetime(2026, 1, 20, tzinfo=UTC), tick=False):
        yield found


def newest(vintages: list[Known], until: Callable[[Known], bool]) -> dict[PartitionKey, Known]:
    return {one.key: one for one in vintages if until(one)}


def cells(chosen: dict[PartitionKey, Known], wanted: Callable[[PartitionKey, Line], bool]) -> list[tuple[object, ...]]:
    return sorted(
        (key.week_ending, key.tier.value, line[0], line[1], Decimal(line[2]), line[3], one.version)
        for key, one in chosen.items()
        for line in one.lines
        if wanted(key, line)
    )


def found(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    venue = pl.when(pl.col("mpid") == "").then("venue_name").otherwise("mpid")
    return sorted(frame.select("week_ending", "tier", "symbol", venue, "shares", "trades", "version").rows())


def is_ats(line: Line) -> bool:
    return len(line[1]) == 4


def test_random_requests_of_rows_are_what_plain_python_reads(vintages: list[Known]) -> None:
    chance = random.Random(1)
    for _ in range(40):
        asked: dict[str, object] = {"weeks": "all"}
        until: Callable[[Known], bool] = lambda one: True  # noqa: E731
        match chance.randrange(4):
            case 1:
                moment = START + timedelta(hours=chance.randint(0, 500))
                asked["as_of"], until = moment, lambda one, moment=moment: one.known <= moment  # type: ignore[misc]
            case 2:
                first = {one.key: one for one in reversed(vintages)}
                asked["vintage"], until = "first", lambda one, first=first: first[one.key] is one  # type: ignore[misc]
            case 3:
                place = chance.randint(1, 14)
                asked["position"], until = place, lambda one, place=place: vintages.index(one) < place  # type: ignore[misc]
        kind, symbol = chance.choice(["ATS", "NON_ATS", "ALL"]), chance.choice([*SYMBOLS, None])
        tier = chance.choice([Tier.OTC, Tier.NMS_TIER_1, None])
        asked |= {"venue_kind": kind} | ({"symbol": symbol} if symbol else {}) | ({"tier": tier.value} if tier else {})
        expected = cells(
            newest(vintages, until),
            lambda key, line, kind=kind, symbol=symbol, tier=tier: (  # type: ignore[misc]
                kind in ("ALL", "ATS" if is_ats(line) else "NON_ATS")
                and symbol in (None, line[0])
                and tier in (None, key.tier)
            ),
        )
        answer = readers.rows(**asked)  # type: ignore[arg-type]
        assert found(answer.frame) == expected, asked
        assert answer.total == len(expected)
        walked, place_behind = [], None
        while True:
            page = answer.page(place_behind, 5)
            walked.append(page.frame)
            if page.next is None:
                break
            place_behind = page.next
        assert pl.concat(walked).equals(answer.frame)


def test_figures_of_random_weeks_are_what_plain_python_computes(vintages: list[Known]) -> None:
    chosen = newest(vintages, lambda one: True)
    venues = readers.venue_history(mpid="UBSA", weeks="all").frame
    markets = readers.market(weeks="all").frame
    history = readers.symbol_history(symbol="AAPL", weeks="all").frame

    for key, one in chosen.items():
        volumes: dict[tuple[bool, str], Fraction] = defaultdict(Fraction)
        for line in one.lines:
            volumes[is_ats(line), line[1]] += Fraction(line[2])
        ats = {venue: shares for (is_an_ats, venue), shares in volumes.items() if is_an_ats}
        of_ats = markets.filter(week_ending=key.week_ending, tier=key.tier.value, venue_kind="ATS")
        if ats:
            total = sum(ats.values())
            assert Fraction(of_ats["shares"].item()) == total
            assert of_ats["hhi_low"].item() == pytest.approx(float(sum(value**2 for value in ats.values()) / total**2))
            own = venues.filter(week_ending=key.week_ending, tier=key.tier.value)
            assert own["share"].to_list() == ([pytest.approx(float(ats["UBSA"] / total))] if "UBSA" in ats else [])
        of_symbol = [line for line in one.lines if line[0] == "AAPL"]
        own = history.filter(week_ending=key.week_ending, tier=key.tier.value)
        assert own.height == bool(of_symbol)
        if of_symbol and own["ats_shares"].item() is not None:
            assert Fraction(own["ats_shares"].item()) == sum(Fraction(line[2]) for line in of_symbol if is_ats(line))


def test_row_versions_give_every_instant_back(vintages: list[Known]) -> None:
    """Rows as of an instant are the versions whose interval has it."""
    history = pl.concat([readers.row_history(symbol=symbol, weeks="all").frame for symbol in SYMBOLS])
    key = ["week_ending", "tier", "symbol", "mpid", "venue_name", "shares", "trades"]
    for hours in range(0, 500, 37):
        moment = START + timedelta(hours=hours)
        held = history.filter(
            (pl.col("known_from") <= moment) & (pl.col("known_to").is_null() | (pl.col("known_to") > moment))
        )
        assert held.select(key).sort(key).equals(readers.rows(as_of=moment, weeks="all").frame.select(key).sort(key))


OF_ONE_WEEK = ("venues", "venue_symbols", "symbol_leaders", "symbols", "differences")
ASKED: dict[str, dict[str, object]] = {
    "row_history": {"symbol": "AAPL"},
    "venue_history": {"mpid": "UBSA"},
    "symbol_history": {"symbol": "AAPL"},
    "symbol_venues": {"symbol": "AAPL"},
    "venue_symbols": {"mpid": "UBSA"},
}


def test_every_dataset_has_the_fields_of_the_dictionary_and_refuses_other_parameters(vintages: list[Known]) -> None:
    last = Capture.objects.filter(version__gt=1).latest("position")
    asked: dict[str, dict[str, object]] = {**ASKED, "differences": {"to_capture": last.capture_id}}
    assert FUNCTIONS.keys() == readers.DATASETS.keys()
    for name, function in FUNCTIONS.items():
        dataset = readers.DATASETS[name]
        given = {**asked.get(name, {})} | ({"weeks": "all"} if name not in OF_ONE_WEEK else {})
        frame = function(**given).frame
        assert frame.schema == dataset.schema, name
        assert frame.select(dataset.key).is_unique().all(), name
        for field in dataset.fields:
            assert field.meaning, (name, field.name)
            assert field.null or frame[field.name].null_count() == 0, (name, field.name)
        assert set(readers.parameters_of(function)) <= readers.PARAMETERS.keys()
        assert kind_of(lambda function=function, given=given: function(**given, wek=1)) == "unknown-parameter"  # type: ignore[misc]


def test_the_etag_changes_with_the_answer_and_with_nothing_else(vintages: list[Known]) -> None:
    asked: dict[str, dict[str, object]] = {
        "rows": {},
        "venues": {"tier": "OTC"},
        "market": {"weeks": "all"},
        "venue_history": {"mpid": "UBSA", "weeks": "all"},
        "symbol_history": {"symbol": "AAPL", "weeks": "all"},
        "row_history": {"symbol": "AAPL", "weeks": "all"},
        "captures": {},
        "restatements": {},
    }
    pinned = {"rows", "venues", "market", "venue_history", "symbol_history", "row_history"}

    def answers() -> dict[str, readers.Result]:
        now = {name: FUNCTIONS[name](**given) for name, given in asked.items()}
        return now | {f"{name} then": FUNCTIONS[name](**asked[name], as_of=START + 20 * DAY) for name in pinned}

    before = answers()
    frames = {name: answer.frame for name, answer in before.items()}
    for week in WEEKS:
        analytics.calculate_week(week)
    assert {name: answer.etag for name, answer in answers().items()} == {name: one.etag for name, one in before.items()}
    stored([("AAPL", "UBSA", "1", 1)], datetime(2026, 1, 19, tzinfo=UTC), key=PartitionKey(WEEK - 7 * DAY, Tier.OTC))
    after = answers()
    for name, answer in after.items():
        if not answer.frame.equals(frames[name]):
            assert answer.etag != before[name].etag, name
        if name.endswith("then"):
            assert answer.meta == before[name].meta, name
            assert answer.frame.equals(frames[name]), name
