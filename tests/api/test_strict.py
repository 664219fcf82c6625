"""Strict: nothing in a request is ignored, an odd value is refused or answered, a typo is no empty answer."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.api.datasets import SOURCES, Source
from pipeline.api.problem_kinds import KINDS
from pipeline.api.requests import OF_ANSWERS, PAGING
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.readers.errors import STATUS, ErrorKind
from tests.admin.test_odd_addresses import ODD
from tests.admin.vintages import captured
from tests.api.asking import Script, body, viewer
from tests.faults.extent import EVERYTHING, SEED
from tests.management.publications import OTC, WEEK, content
from tests.support.engines import Begin
from tests.support.sources_in_memory import psv, row

pytestmark = pytest.mark.usefixtures("few_rows")
TIER_1 = PartitionKey(WEEK, Tier.NMS_TIER_1)
# What has been taken for no symbol, another one, a number, an end, a formula or a second cell.
SYMBOLS = (
    "BRK.B",
    "ABRpD",
    "ABRPD",
    "NAN",
    "NULL",
    "None",
    "TRUE",
    "",
    "1E5",
    "00123",
    "A,B",
    'Q"T',
    "=1+1",
    "a/b",
    "A B",
)
VALUES_ASKED = 1.0 if EVERYTHING else 0.01


@pytest.fixture
def script(begin: Begin) -> Script:
    """A Viewer's script; a week of OTC, and one of Tier 1 with odd symbols, are captured."""
    begin(odd_symbols)
    return viewer()


def odd_symbols(_folder: Path) -> None:
    captured(OTC, content(OTC))
    lines = [
        row(symbol, "UBSA", f"{at}.25", issue=f"Issue {at}", tier=TIER_1.tier) for at, symbol in enumerate(SYMBOLS)
    ]
    captured(TIER_1, psv(*lines))


def parameters(source: Source) -> list[str]:
    """All that an endpoint may be asked."""
    return [*source.parameters, *OF_ANSWERS, *(("limit",) if source.is_feed else PAGING)]


def misspelt(known: list[str]) -> list[str]:
    """Each parameter cut short, with a letter more, in capitals, with another dash or a letter in front."""
    wrong = [(name[:-1], f"{name}s", name.upper(), name.replace("_", "-"), f"x{name}") for name in known]
    return [one for words in wrong for one in words if one and one not in known]


def test_complaint_06_every_misspelt_parameter_of_every_endpoint_is_refused(script: Script) -> None:
    for source in SOURCES:
        known = parameters(source)
        wrong = dict.fromkeys(misspelt(known), "1")
        problem = script.problem(400, source.path, **wrong)
        assert problem["type"] == "/problems/unknown-parameter"
        assert [one["name"] for one in problem["errors"]] == list(wrong)
        for one in problem["errors"]:
            assert set(one["allowed"]) == set(known)
            assert one["did_you_mean"] in known, (source.path, one["name"])
        assert "did_you_mean" not in script.problem(400, source.path, zzzzzzzzzz="1")["errors"][0]


def test_complaint_06_other_services_words_are_understood(script: Script) -> None:
    for word, meant in (("vintage_date", "as_of"), ("known_at", "as_of"), ("ticker", "symbol"), ("offset", "cursor")):
        assert script.problem(400, "rows", **{word: "1"})["errors"][0]["did_you_mean"] == meant
    for path in ("", "dictionary", "openapi.json", "captures/x"):
        assert script.problem(400, path, as_of="2026-01-01")["type"] == "/problems/unknown-parameter"


def test_what_is_given_twice_or_is_too_long_is_refused(script: Script) -> None:
    for name in ("format", "limit", "cursor", "fields", "count_only", "as_of", "vintage"):
        assert script.problem(400, "rows", **{name: ["a", "b"]})["errors"][0]["name"] == name
    assert script.problem(400, "rows", symbol="x" * 2001)["errors"][0]["name"] == "symbol"
    assert script.problem(400, "rows", symbol=["x"] * 201)["errors"][0]["name"] == "symbol"
    assert script.problem(400, "rows", symbol="A\0")["errors"][0]["name"] == "symbol"


def test_selectors_exclude_each_other(script: Script) -> None:
    for one, other in (({"as_of": "2026-01-01"}, {"vintage": "first"}), ({"at_age_days": "7"}, {"position": "1"})):
        assert script.problem(400, "rows", **one, **other)["type"] == "/problems/selector-conflict"
    assert script.problem(400, "rows", weeks="1", week_ending=str(WEEK))["type"] == "/problems/selector-conflict"


def test_the_facts_of_a_problem_help(script: Script) -> None:
    problem = script.problem(400, "rows", week_ending="2025-11-13")
    assert (problem["type"], problem["nearest_fridays"]) == ("/problems/not-a-friday", ["2025-11-07", "2025-11-14"])
    problem = script.problem(404, "rows", week_ending="2025-11-07", tier="OTC")
    assert (problem["type"], problem["due_date"]) == ("/problems/not-captured", "2025-12-08")
    problem = script.problem(404, "rows", week_ending=str(WEEK), tier="OTC", as_of="2025-12-16")
    assert problem["type"] == "/problems/not-known-yet"
    assert problem["first_known_at"].endswith("Z")
    future = script.get("rows", week_ending="2099-12-25", tier="OTC")
    assert future["Retry-After"] == "Mon, 25 Jan 2100 05:00:00 GMT"
    assert script.problem(404, "rows", week_ending="2099-12-25", tier="OTC")["due_date"] == "2100-01-25"
    problem = script.problem(400, "rows", fields="symbol,prize")
    assert (problem["type"], problem["errors"][0]["name"]) == ("/problems/unknown-field", "fields")
    assert script.problem(400, "rows", as_of="2099-01-01")["type"] == "/problems/as-of-in-the-future"


def test_complaint_16_a_typo_is_no_empty_answer(script: Script) -> None:
    assert script.problem(404, "rows", symbol="APPL")["type"] == "/problems/unknown-symbol"
    assert script.problem(404, "rows", mpid="UBSB")["type"] == "/problems/unknown-venue"
    found = script.json("rows", symbol="AAPL", tier="NMS_TIER_1", week_ending=str(WEEK))
    assert found["data"] == []
    assert "though it is known" in found["meta"]["empty_because"]


def test_complaint_17_odd_symbols_go_round(script: Script) -> None:
    for at, symbol in enumerate(SYMBOLS):
        asked = {"tier": "NMS_TIER_1", "week_ending": str(WEEK), "symbol": symbol}
        [one] = script.json("rows", **asked)["data"]
        assert (one["symbol"], one["shares"]) == (symbol, f"{at}.250000")
    everything = {"tier": "NMS_TIER_1", "week_ending": str(WEEK)}
    found = [one["symbol"] for one in script.json("rows", **everything)["data"]]
    assert sorted(found) == sorted(SYMBOLS)
    assert [one["symbol"] for one in csv.DictReader(io.StringIO(text_of(script, everything)))] == found


def text_of(script: Script, asked: dict[str, str]) -> str:
    return body(script.get("rows", **asked, format="csv")).decode()


def test_complaint_24_both_ends_of_a_range_are_in_it(script: Script) -> None:
    found = script.json("rows", from_week=str(WEEK), to_week=str(WEEK), tier="OTC")
    assert {one["week_ending"] for one in found["data"]} == {str(WEEK)}
    assert len(found["data"]) == 4


def questions() -> Iterator[tuple[str, str, Any]]:
    """Odd values of every parameter of every endpoint; of them some, drawn by chance."""
    chance = random.Random(SEED)
    for source in SOURCES:
        for name in parameters(source):
            for value in ODD:
                if chance.random() < VALUES_ASKED:
                    yield source.path, name, value


def test_complaint_29_no_odd_value_is_an_error_of_ours(script: Script, settings: Any) -> None:
    print(f"FAULT_SEED={SEED}")
    settings.MARKETSPINE_API_READS_PER_MINUTE = settings.MARKETSPINE_API_EXPORTS_PER_HOUR = 10**9
    asked = 0
    for path, name, value in questions():
        try:
            response = script.get(path, **{name: value})
        except UnicodeEncodeError:
            continue  # half of a character, which no address can hold
        asked += 1
        told = (response.status_code, response["Content-Type"], path, name, value[:40])
        assert response.status_code in (200, 400, 404), told
        assert response.status_code == 200 or response["Content-Type"] == "application/problem+json", told
    assert asked > 10


def test_whatever_the_readers_cannot_answer_is_a_kind_of_problem() -> None:
    assert {kind.value: STATUS[kind] for kind in ErrorKind} == {
        kind.value: int(KINDS[kind.value].status) for kind in ErrorKind
    }


def test_every_problem_has_a_page_that_anybody_reads(script: Script) -> None:
    nobody = Script()
    for kind in KINDS.values():
        page = nobody.get(kind.address)
        assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert kind.title in page.content.decode().replace("&#x27;", "'")
        assert kind.address in nobody.get("/problems/").content.decode()
    assert nobody.get("/problems/none").status_code == 404
    assert nobody.client.post("/problems/not-found").status_code == 405


def test_what_django_refuses_is_a_problem_too(script: Script) -> None:
    too_long = script.client.generic("GET", "/api/v1/rows", b"x" * 3_000_000, headers=script.headers)
    assert (too_long.status_code, too_long["Content-Type"]) == (400, "application/problem+json")
    elsewhere = script.client.get("/api/v1/rows", headers={**script.headers, "Host": "elsewhere.example"})
    assert (elsewhere.status_code, elsewhere["Content-Type"]) == (400, "application/problem+json")
    for address in ("/api", "/api/", "/api/v1", "/api/v2/rows", "/api/v1/rows/", "/api/v1/ROWS"):
        assert script.problem(404, address)["type"] == "/problems/not-found"


def test_an_age_beyond_any_calendar_is_refused(script: Script) -> None:
    for days in ("36501", "2147483647"):
        assert script.problem(400, "rows", at_age_days=days)["errors"][0]["name"] == "at_age_days"
    assert script.problem(400, "revisions/triangle", ages="2147483647")["errors"][0]["name"] == "ages"
    assert script.json("rows", at_age_days="36500")["data"] == []
