"""The service and the reference model agree on every request, lawful or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.fake_finra import FinraServer, Options
from tests.fake_finra.catalogue import Catalogue
from tests.fake_finra.rows import DATES, FIELDS
from tests.faults.extent import examples
from tests.test_fake_finra import model
from tests.test_fake_finra.asking import HISTORIC, TODAY, ask, small_service

SERVICE = small_service()
LATER = date(2027, 1, 15)  # both weeks are in the history
HISTORY = small_service(Options(requests_per_second=None, recent_weeks=52, historic_fields=None), today=LATER)
WINDOW = (LATER - timedelta(weeks=261), LATER - timedelta(weeks=52))


def plain_rows(catalogue: Catalogue, today: date) -> list[model.Plain]:
    """All that is published, oldest partition first, the market-wide rows at the end of each week."""
    rows: list[tuple[object, ...]] = []
    for week in catalogue.weeks(today):
        for key in catalogue.keys(today):
            rows += catalogue.rows(key, today) if key.week_ending == week else ()
        rows += catalogue.market_rows(week, today)
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


ROWS = plain_rows(SERVICE.catalogue, TODAY)


def _written(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _values(name: str) -> st.SearchStrategy[str]:
    """Values that occur, and seldom one that is unlawful or belongs to no row."""
    known = sorted({_written(row[name]) for row in ROWS if row[name] is not None})
    return st.sampled_from([*known, "1" if name in model.NUMERIC else "2025-02-30" if name in DATES else "Nobody"])


NAMES = st.sampled_from(FIELDS)
KINDS = st.sampled_from([*model.COMPARE, *model.COMPARE, "LIKE"])


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, str]:
    name = draw(NAMES)
    return {"fieldName": name, "fieldValue": draw(_values(name)), "compareType": draw(KINDS)}


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, str]:
    name = draw(st.sampled_from([*sorted(DATES), "MPID"]))
    day = _values("lastUpdateDate") | _values("weekStartDate")
    return {"fieldName": name, "startDate": draw(day), "endDate": draw(day)}


@st.composite
def domains(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(NAMES)
    return {"fieldName": name, "values": draw(st.lists(_values(name), max_size=4))}


@st.composite
def requests(draw: st.DrawFn) -> model.Plain:
    row = draw(st.sampled_from(ROWS))
    pins = [
        {"fieldName": name, "fieldValue": row[name], "compareType": "EQUAL"}
        for name in draw(st.sampled_from([[], ["weekStartDate"], sorted(model.KEYS), sorted(model.KEYS)]))
    ]
    body = {
        "compareFilters": pins + draw(st.lists(comparisons(), max_size=1)),
        "dateRangeFilters": draw(st.lists(ranges(), max_size=1)),
        "domainFilters": draw(st.lists(domains(), max_size=1)),
        "fields": draw(st.lists(st.sampled_from([*FIELDS, *FIELDS, "venueColour"]), unique=True, max_size=5)),
        "sortFields": draw(st.lists(st.builds("".join, st.tuples(st.sampled_from("+-"), NAMES)), max_size=3)),
        "limit": draw(st.sampled_from([1, 3, 50, 1000, 5000, 9999, 0])),
        "offset": draw(st.sampled_from([0, 0, 1, 7, 500_000, 500_001, -1])),
    }
    return {name: body[name] for name in draw(st.sets(st.sampled_from(sorted(body)))) | {"compareFilters"}}


@pytest.fixture(scope="module")
def server() -> Iterator[FinraServer]:
    with FinraServer(SERVICE) as server:
        yield server


@examples(20, of_all=150)
@given(body=requests())
def test_service_and_model_agree_on_status_rows_and_headers(server: FinraServer, body: model.Plain) -> None:
    status, rows, headers = model.answer(body, ROWS)
    event(f"status {status}")
    answer = ask(server, body)
    assert answer.status == status, answer.body
    assert {name: answer.headers[name] for name in headers} == headers
    assert (answer.json if status == 200 else []) == rows


@pytest.fixture(scope="module")
def history() -> Iterator[FinraServer]:
    with FinraServer(HISTORY) as server:
        yield server


@st.composite
def historic_requests(draw: st.DrawFn) -> model.Plain:
    """Lawful for the most part; else with a filter, a comparison, a sort or a day too many."""
    weeks = ["2025-10-27", "2025-11-03", "2025-10-28", "2020-10-26", "2026-10-26"]
    tier = {"fieldName": "tierIdentifier", "fieldValue": draw(st.sampled_from(["T1", "T2", "OTCE", "NA", "T9"]))}
    week = {"fieldName": "weekStartDate", "fieldValue": draw(st.sampled_from([*weeks[:2], *weeks]))}
    kinds = [draw(st.sampled_from(["EQUAL", "EQUAL", "EQUAL", "GTE"])) for _ in (week, tier)]
    filters = [{**each, "compareType": kind} for each, kind in zip((week, tier), kinds, strict=True)]
    more = draw(st.sampled_from([[], [], [], [{"fieldName": "MPID", "fieldValue": "UBSA", "compareType": "EQUAL"}]]))
    kept = draw(st.sampled_from([filters, filters, filters[:1], filters[1:]]))
    body = {"compareFilters": [*kept, *more], "limit": 5000}
    unlawful = {
        "sortFields": ["+MPID"],
        "domainFilters": [{"fieldName": "tierIdentifier", "values": ["T1"]}],
        "dateRangeFilters": [{"fieldName": "weekStartDate", "startDate": weeks[0], "endDate": weeks[1]}],
    }
    name = draw(st.sampled_from([None, None, None, *unlawful]))
    return {**body, name: unlawful[name]} if name else body


@examples(15, of_all=100)
@given(body=historic_requests())
def test_the_history_and_its_model_agree_on_status_and_rows(history: FinraServer, body: model.Plain) -> None:
    status, rows = model.answer_of_history(body, plain_rows(HISTORY.catalogue, LATER), WINDOW)
    event(f"status {status}")
    answer = ask(history, body, HISTORIC)
    assert answer.status == status, answer.body
    assert (answer.json if status == 200 else []) == rows
