"""Random questions have the same answer at every door: the functions, the command, the API, the analyst's pages.

A failure prints FAULT_SEED, which draws the same questions again; FAULTS=all draws many.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from pipeline.api.datasets import SOURCES
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.plain_text import as_sentence, capitalized
from pipeline.readers import ReadersError, Result
from pipeline.readers.answers import FUNCTIONS
from tests.admin.market_tables import lines_of, tables_of
from tests.api.asking import Script, body, token_of
from tests.faults.extent import EVERYTHING, SEED
from tests.management.calling import call
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, WEEK, stored

DRAWN = 40 if EVERYTHING else 6
NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EARLIER, BEFORE = WEEK - timedelta(days=14), WEEK - timedelta(days=7)
OLD = KEY._replace(week_ending=BEFORE)
PATHS = {source.name: source.path for source in SOURCES}
FORMS = ("csv", "ndjson", "parquet")

WEEKS = [{"week_ending": str(week)} for week in (EARLIER, BEFORE, WEEK)]
SPANS = [{"weeks": "13"}, {"weeks": "all"}]
TIERS = [{"tier": tier} for tier in ("OTC", "NMS_TIER_1")]
OVER_ALL = [*TIERS, {"tier": "ALL"}]
KINDS = [{"venue_kind": kind} for kind in ("ATS", "NON_ATS", "ALL")]
SYMBOLS = [{"symbol": symbol} for symbol in ("AAA", "BRK.B", "NULL", "NONE SUCH")]
MPIDS = [{"mpid": mpid} for mpid in ("UBSA", "SGMT", "NONE")]
INSTANTS = [{}, *({"as_of": as_of} for as_of in ("2025-12-26T12:30:00Z", "2025-12-26T14:00:00+01:00", "2025-12-20"))]
VINTAGES = [*INSTANTS, {"vintage": "first"}]
SELECTORS = [*VINTAGES, {"at_age_days": "28"}, {"position": "5"}]
PERIODS = [{"from_day": "2025-12-01"}, {"from_day": "2025-12-26", "to_day": "2025-12-26"}, {"from_day": "2025-12-27"}]
ANY_TIER, ANY_KIND = [{}, *TIERS], [{}, *KINDS]
SOURCE = [{}, {"cause": "SOURCE"}]

Keywords = Mapping[str, str]
Choices = Sequence[Sequence[Keywords]]


@dataclass(frozen=True, slots=True)
class Door:
    """A page of /admin/market/ that shows a dataset: what it is asked, in its own words where it has others.

    `fixed` are keywords that the page sets itself.
    """

    page: str
    choices: Choices
    words: Keywords
    fixed: Keywords


def door(page: str, *choices: Sequence[Keywords], words: Keywords | None = None, **fixed: str) -> Door:
    return Door(page, choices, words or {}, fixed)


SHOWN_ON_PAGES: Mapping[str, Door] = {
    "venues": door("", WEEKS, OVER_ALL, KINDS, VINTAGES),
    "market": door("", SPANS, OVER_ALL, VINTAGES),
    "venue_history": door("venue/", MPIDS, SPANS, OVER_ALL, INSTANTS),
    "venue_symbols": door("venue/", MPIDS, TIERS, INSTANTS[:3], week_ending=str(WEEK)),
    "symbol_leaders": door("", WEEKS, OVER_ALL, KINDS, VINTAGES),
    "symbol_history": door("symbol/", SYMBOLS, SPANS, VINTAGES, tier="ALL"),
    "symbol_venues": door("symbol/", SYMBOLS, WEEKS, VINTAGES),
    "row_history": door("symbol/", SYMBOLS, WEEKS),
    "restatements": door("restatements/", PERIODS, ANY_TIER, SOURCE),
    "restated_symbols": door("restatements/", PERIODS, ANY_TIER),
    "restated_venues": door("restatements/", PERIODS, ANY_TIER),
    "differences": door(
        "compare/",
        WEEKS,
        TIERS,
        [{"from_as_of": "2025-12-26T12:30:00Z"}],
        [{}, {"to_as_of": "2025-12-26T13:30:00Z"}],
        words={"from_as_of": "a", "to_as_of": "b"},
    ),
    "revision_profile": door("revisions/", ANY_TIER, KINDS, [{}, {"measure": "rank_changes"}]),
}
ELSEWHERE: Mapping[str, Choices] = {
    "rows": ([*WEEKS, *SPANS], ANY_TIER, ANY_KIND, [{}, *SYMBOLS], [{}, *MPIDS], SELECTORS),
    "row_search": (
        [*WEEKS, *SPANS],
        [{}, *SYMBOLS, {"symbol_prefix": "A"}],
        [{}, {"issue_contains": "aa"}, {"venue_contains": "FIRM"}],
        [{}, {"sort": "shares"}],
        SELECTORS,
    ),
    "row_history": ([*WEEKS, *SPANS], ANY_TIER, ANY_KIND, [{}, *SYMBOLS]),
    "differences": ([{"from_as_of": "2025-12-26T12:30:00Z"}], WEEKS, ANY_KIND, [{}, {"min_change": "60.5"}]),
    "restatements": ([{"after": "0"}, {"after": "3"}], ANY_TIER),
    "venues": ([*WEEKS, {}], OVER_ALL, SELECTORS, [{}, {"sort": "shares"}, {"top": "1"}]),
    "venue_history": ([*MPIDS, {"venue_name": "A firm"}], SPANS, SELECTORS),
    "venue_symbols": (
        [*MPIDS, {"venue_name": "A firm"}],
        [*WEEKS, {}],
        OVER_ALL,
        ANY_KIND,
        SELECTORS,
        [{}, {"top": "1"}],
    ),
    "symbol_leaders": ([*WEEKS, {}], OVER_ALL, ANY_KIND, SELECTORS, [{}, {"top": "1"}]),
    "symbols": ([{"q": word} for word in ("brk/b", "a", "inc", "zzz")],),
    "symbol_history": (SYMBOLS, SPANS, [{}, *OVER_ALL], SELECTORS),
    "symbol_venues": (SYMBOLS, [*WEEKS, *SPANS], ANY_TIER, ANY_KIND, SELECTORS),
    "market": ([*WEEKS, *SPANS], [{}, *OVER_ALL], SELECTORS),
    "revision_triangle": (ANY_TIER, KINDS, [{}, {"ages": "0,7,28"}]),
    "revision_venues": (ANY_TIER, ANY_KIND, [{}, {"min_verified_age": "7"}]),
    "revision_venue_triangle": (ANY_TIER, ANY_KIND, [{}, *MPIDS], [{}, {"ages": "0,7,28"}]),
    "readiness_changes": ([{}, {"after": "3"}, *WEEKS], [{}, {"use": "trading"}]),
    "restatement_dates": (ANY_TIER, ANY_KIND, PERIODS),
    "partitions": ([*WEEKS, *SPANS], ANY_TIER),
    "captures": ([*WEEKS, *SPANS], ANY_TIER),
    "weeks": ([*WEEKS, *SPANS],),
    "readiness": ([*WEEKS, *SPANS], [{}, {"use": "trading"}]),
}


@pytest.fixture
def _three_weeks(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three weeks of OTC, the newest restated by FINRA, and one of Tier 1."""
    stored([("AAA", "UBSA", "60", 6), ("NULL", "SGMT", "40.5", 2)], NOON, key=KEY._replace(week_ending=EARLIER))
    stored([("AAA", "UBSA", "70", 6), ("AAA", "SGMT", "4", 2), ("BRK.B", "A firm", "9", 1)], NOON, key=OLD)
    stored([("AAA", "UBSA", "50", 5), ("AAA", "SGMT", "150", 3), ("BRK.B", "A firm", "8", 1)], NOON)
    stored([("AAA", "SGMT", "7.000001", 1), ("NULL", "UBSA", "3", 1)], NOON, key=PartitionKey(WEEK, Tier.NMS_TIER_1))
    stored([("AAA", "UBSA", "110", 5), ("AAA", "SGMT", "300", 3), ("NULL", "A firm", "2", 1)], NOON + HOUR)
    monkeypatch.chdir(tmp_path)
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


class Doors:
    """A Viewer at the doors beside the functions: the command, the API, the pages."""

    def __init__(self) -> None:
        user = User.objects.create_user("vera", is_staff=True)
        user.groups.add(Group.objects.get(name="Viewer"))
        self.script = Script(token_of(user))
        self.browser = Client()
        self.browser.force_login(user)

    def check(self, dataset: str, asked: Keywords) -> Result | ReadersError:
        """The answer of the function, or its refusal, which command and API give, too."""
        cache.clear()  # the API's limits of an hour
        try:
            result = FUNCTIONS[dataset](**asked)
            assert result.frame.columns == list(result.columns)
        except ReadersError as error:
            self._check_refusal(dataset, asked, error)
            return error
        self._check_command(dataset, asked, result)
        self._check_api(PATHS[dataset], asked, result)
        return result

    def _check_refusal(self, dataset: str, asked: Keywords, error: ReadersError) -> None:
        exported = call("export", dataset, *_options(asked), "--out", "-")
        assert (exported.code, exported.err.partition(f"{error.kind}: ")[1]) == (2, f"{error.kind}: "), exported.err
        problem = self.script.problem(error.status, PATHS[dataset], **asked)
        assert problem["type"] == f"/problems/{error.kind}"

    def _check_command(self, dataset: str, asked: Keywords, result: Result) -> None:
        for form in FORMS:
            to = (f"--format={form}", "--out", f"answer.{form}", "--force", "--allow-incomplete", "--json")
            exported = call("export", dataset, *_options(asked), *to)
            assert exported.code == 0, exported.err
            assert exported.document["meta"]["inputs"] == result.meta.as_document()["inputs"]
        assert Path("answer.csv").read_text() == result.to_csv()
        assert Path("answer.ndjson").read_text() == result.to_ndjson()
        assert pl.read_parquet("answer.parquet").equals(result.frame)

    def _check_api(self, path: str, asked: Keywords, result: Result) -> None:
        assert self._walked(path, asked) == json.loads(json.dumps(result.to_dicts()))
        csv, parquet = (self.script.get(path, **asked, format=form) for form in ("csv", "parquet"))
        assert (body(csv).decode(), csv["X-Row-Count"]) == (result.to_csv(), str(result.frame.height))
        assert pl.read_parquet(body(parquet)).equals(result.frame)

    def _walked(self, path: str, asked: Keywords) -> list[Any]:
        """The rows of all pages of three; of the feed, whose next page is always there, until it says that it is over."""
        rows = []
        for document in self.script.pages(path, **asked, limit=3):
            rows += document["data"]
            if not document["meta"].get("has_more", True):
                break
        return rows

    def check_page(self, dataset: str, at: Door, asked: Keywords, answer: Result | ReadersError) -> None:
        """That the page asked the same shows the rows of an answer as text, or says why there is none."""
        query = {at.words.get(name, name): value for name, value in asked.items() if name not in at.fixed}
        page = self.browser.get(f"/admin/market/{at.page}", query)
        contents = page.context["contents"]
        if isinstance(answer, ReadersError):
            said = [page.context["trouble"], *(section.lead for section in contents.sections)]
            assert {answer.detail, as_sentence(capitalized(answer.detail))}.intersection(said)
            return
        assert page.status_code == HTTPStatus.OK, page.context["trouble"]
        shown = [one for one in tables_of(contents) if one.dataset == dataset]
        assert shown or answer.frame.is_empty()
        for one in shown:
            assert (one.lines, one.more) == (lines_of(answer.frame.iter_rows(named=True), one.fields), 0)


def _options(asked: Keywords) -> list[str]:
    return [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", value)]


def _drawn(chance: random.Random, choices: Choices) -> dict[str, str]:
    """One of each list of choices, put together."""
    return {name: value for one in choices for name, value in chance.choice(one).items()}


@pytest.mark.usefixtures("_three_weeks")
def test_random_questions_have_the_same_answer_at_four_doors() -> None:
    print(f"FAULT_SEED={SEED}")
    chance, doors = random.Random(f"{SEED}-pages"), Doors()
    for _ in range(DRAWN):
        dataset = chance.choice(list(SHOWN_ON_PAGES))
        at = SHOWN_ON_PAGES[dataset]
        asked = {**_drawn(chance, at.choices), **at.fixed}
        print(dataset, asked)
        doors.check_page(dataset, at, asked, doors.check(dataset, asked))


@pytest.mark.usefixtures("_three_weeks")
def test_random_questions_of_every_dataset_at_the_doors_beside_pages() -> None:
    print(f"FAULT_SEED={SEED}")
    chance, doors = random.Random(SEED), Doors()
    for dataset in chance.sample(list(ELSEWHERE) * DRAWN, DRAWN):
        asked = _drawn(chance, ELSEWHERE[dataset])
        print(dataset, asked)
        doors.check(dataset, asked)


def test_every_dataset_is_asked_for() -> None:
    assert {*SHOWN_ON_PAGES, *ELSEWHERE} == set(FUNCTIONS)
