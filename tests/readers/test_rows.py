"""Rows: which vintages answer, which rows of them, in what order; pages; and what is no question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib import import_module

import polars as pl
import pytest
import time_machine

from pipeline import readers
from pipeline.models import Anomaly, Capture, Category, Severity
from pipeline.readers.datasets.rows import ROWS
from pipeline.vintages import store
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, T1, WEEK, stored

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A = [("AAPL", "UBSA", "100", 2), ("BRK.B", "SGMT", "7", 1), ("BRK.B", "A firm", "3.5", 1)]
B = [("AAPL", "UBSA", "101", 2), ("NEWW", "A firm", "9.5", 1)]


@pytest.fixture(autouse=True)
def _now() -> object:
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


def told(result: readers.Result) -> list[str]:
    """Rows as "symbol venue shares version"."""
    frame = result.frame
    venue = pl.when(pl.col("mpid") == "").then("venue_name").otherwise("mpid")
    return [
        f"{symbol} {name} {shares.normalize():f} v{version}"
        for symbol, name, shares, version in frame.select("symbol", venue, "shares", "version").iter_rows()
    ]


def kind_of(ask: Callable[[], object]) -> readers.ErrorKind:
    with pytest.raises(readers.ReadersError) as caught:
        ask()
    return caught.value.kind


def test_rows_of_the_newest_week_with_what_names_their_vintage(ledger: Ledger) -> None:
    first, tier_1 = stored(A, NOON), stored([("IBM", "UBSA", "1", 1)], NOON, key=T1)
    result = readers.rows()

    assert result.frame.schema == ROWS.schema
    assert result.frame.row(0, named=True) == {
        "week_ending": WEEK,
        "week_start": date(2025, 11, 10),
        "tier": "NMS_TIER_1",
        "venue_kind": "ATS",
        "symbol": "IBM",
        "issue_name": "IBM Inc",
        "mpid": "UBSA",
        "crd": "",
        "venue_name": "UBSA ATS",
        "product_type": "",
        "shares": Decimal("1.000000"),
        "trades": 1,
        "notional": None,
        "last_update_date": date(2025, 12, 15),
        "capture_id": tier_1.capture_id,
        "version": 1,
    }
    assert told(result) == ["IBM UBSA 1 v1", "AAPL UBSA 100 v1", "BRK.B SGMT 7 v1", "BRK.B A firm 3.5 v1"]
    assert [one.capture_id for one in result.meta.inputs] == [tier_1.capture_id, first.capture_id]
    assert result.meta.as_of == NOON
    assert (result.meta.position, result.total, result.warnings) == (2, 4, ())


@pytest.mark.promise(5)
def test_each_selector_chooses_its_vintage(ledger: Ledger) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)
    old = ["AAPL UBSA 100 v1", "BRK.B SGMT 7 v1", "BRK.B A firm 3.5 v1"]
    new = ["AAPL UBSA 101 v2", "NEWW A firm 9.5 v2"]

    assert told(readers.rows()) == told(readers.rows(vintage="latest")) == new
    assert told(readers.rows(vintage="first")) == told(readers.rows(position=1)) == old
    assert told(readers.rows(as_of=NOON)) == told(readers.rows(as_of="2025-12-26T12:59:59.999999Z")) == old
    assert told(readers.rows(as_of=NOON + HOUR)) == told(readers.rows(as_of="2025-12-26")) == new
    assert (
        told(readers.rows(capture=first.capture_id)) == told(readers.rows(capture=first.capture_id, tier="OTC")) == old
    )
    assert told(readers.rows(capture=second.capture_id)) == new


def test_complaint_07_fixed_age_and_first_vintage_never_look_ahead(ledger: Ledger) -> None:
    """OTC of 2025-11-14 was due on 2025-12-15: it is 11 days old on the 26th."""
    stored(A, datetime(2025, 12, 15, 15, tzinfo=UTC))
    stored(B, NOON)
    aged = {days: told(readers.rows(at_age_days=days))[0] for days in (0, 10, 11, 13)}

    assert aged == dict.fromkeys((0, 10), "AAPL UBSA 100 v1") | dict.fromkeys((11, 13), "AAPL UBSA 101 v2")
    assert kind_of(lambda: readers.rows(at_age_days=14, week_ending=WEEK, tier="OTC")) == "not-known-yet"
    early = readers.rows(as_of="2025-12-20")
    assert [warning.code for warning in early.warnings] == ["restated_later"]
    assert early.meta.pinned
    assert not readers.rows(vintage="first").meta.pinned


def test_complaint_08_instants_have_offsets_days_end_in_new_york(ledger: Ledger) -> None:
    stored(A, NOON)
    texts = (
        "2025-12-26T12:00:00Z",
        "2025-12-26T07:00:00-05:00",
        "2025-12-26T13:00:00+01:00",
        "2025-12-26T13:00:00 01:00",
    )
    answers = [readers.rows(as_of=text) for text in texts]

    assert {answer.meta.as_of for answer in answers} == {NOON}
    assert len({answer.etag for answer in answers}) == 1
    assert all(answer.frame.equals(answers[0].frame) for answer in answers)
    naive = ("2025-12-26T12:00:00", "2025-12-26 12:00", NOON.replace(tzinfo=None), "noon", "")
    for text in naive:
        assert kind_of(partial(readers.rows, as_of=text)) == "invalid-parameter"
    assert kind_of(lambda: readers.rows(as_of="2025-12-29")) == "as-of-in-the-future"
    # The clocks of New York go back on 2025-11-02: that day has 25 hours, and ends at 5 o'clock UTC.
    assert readers.rows(as_of="2025-11-02").meta.as_of == datetime(2025, 11, 3, 4, 59, 59, 999999, UTC)
    assert readers.rows(as_of="2025-11-01").meta.as_of == datetime(2025, 11, 2, 3, 59, 59, 999999, UTC)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"vintage_date": "2025-12-26"}, "unknown-parameter"),
        ({"as_of": NOON, "vintage": "first"}, "selector-conflict"),
        ({"week_ending": WEEK, "weeks": 3}, "selector-conflict"),
        ({"weeks": 3, "from_week": WEEK}, "selector-conflict"),
        ({"week_ending": "2025-11-13"}, "not-a-friday"),
        ({"week_ending": "20251114"}, "invalid-parameter"),
        ({"from_week": "2025-11-21", "to_week": "2025-11-14"}, "invalid-parameter"),
        ({"weeks": 0}, "invalid-parameter"),
        ({"weeks": "-1"}, "invalid-parameter"),
        ({"weeks": 10**30}, "invalid-parameter"),
        ({"weeks": True}, "invalid-parameter"),
        ({"tier": "T3"}, "invalid-parameter"),
        ({"venue_kind": "DARK"}, "invalid-parameter"),
        ({"symbol": 5}, "invalid-parameter"),
        ({"crd": 361}, "invalid-parameter"),
        ({"venue_kind": 1}, "invalid-parameter"),
        ({"position": 2}, "position-in-the-future"),
        ({"capture": "finra.otc_transparency:OTC:2025-11-14:20240101"}, "unknown-capture"),
        ({"capture": ""}, "unknown-capture"),
        ({"week_ending": "2025-11-21", "tier": "OTC"}, "not-captured"),
        ({"week_ending": "2025-12-19", "tier": "OTC"}, "not-yet-due"),
        ({"week_ending": WEEK, "tier": "OTC", "as_of": NOON - HOUR}, "not-known-yet"),
    ],
)
def test_what_is_no_question_has_a_kind(ledger: Ledger, asked: dict[str, object], kind: str) -> None:
    stored(A, NOON)
    assert kind_of(lambda: readers.rows(**asked)) == kind  # type: ignore[arg-type]


def test_errors_carry_the_facts_that_help(ledger: Ledger) -> None:
    capture = stored(A, NOON)

    def facts(**asked: object) -> readers.Facts:
        with pytest.raises(readers.ReadersError) as caught:
            readers.rows(**asked).frame  # type: ignore[arg-type]  # noqa: B018
        return caught.value.facts

    assert facts(vintage_date="2025").did_you_mean == "as_of"
    assert facts(week_ending="2025-11-12").nearest_fridays == (date(2025, 11, 7), date(2025, 11, 14))
    assert facts(week_ending="2025-12-19", tier="OTC").due_date == date(2026, 1, 20)
    assert facts(week_ending=WEEK, tier="OTC", as_of=NOON - HOUR).first_known_at == NOON
    assert facts(capture="finra.otc_transparency:OTC:2025-11-14:x").capture_ids == (capture.capture_id,)
    assert facts(symbol="brk-b").did_you_mean == "BRK.B"
    assert facts(mpid="ubsb").did_you_mean == "UBSA"
    assert facts(venue_kind="nonats").did_you_mean == "NON_ATS"
    assert facts(tier="tier1").did_you_mean == "NMS_TIER_1"


def test_complaint_16_only_a_symbol_never_seen_is_an_error(ledger: Ledger) -> None:
    stored(A, NOON)
    stored([("IBM", "UBSA", "1", 1)], NOON, key=T1)
    absent = readers.rows(tier="OTC", symbol="IBM")

    assert kind_of(lambda: readers.rows(symbol="IBN").frame) == "unknown-symbol"
    assert kind_of(lambda: readers.rows(symbol="IBN").page(None, 10)) == "unknown-symbol"
    assert kind_of(lambda: readers.rows(symbol=["IBM", "aapl"]).frame) == "unknown-symbol"
    assert kind_of(lambda: readers.rows(mpid="UBSB").frame) == "unknown-venue"
    assert absent.frame.schema == ROWS.schema
    assert (absent.total, absent.page(None, 10).next) == (0, None)
    assert absent.empty_because == "what is asked for has no row in these weeks and tiers, though it is known"
    early = readers.rows(weeks="all", as_of=NOON - HOUR).empty_because
    assert early is not None
    assert early.startswith("nothing of these weeks and tiers was captured by then; clock=published")


def test_complaint_17_odd_symbols_are_found_as_they_are_written(ledger: Ledger) -> None:
    odd = ["BRK.B", "ABRpD", "ABRPD", "NAN", "NULL", "TRUE", "", 'A"B', "A,B", "=1+1", "A/B"]
    stored([(symbol, "UBSA", str(place + 1), 1) for place, symbol in enumerate(odd)], NOON)
    everything = readers.rows()

    for place, symbol in enumerate(odd):
        found = readers.rows(symbol=symbol)
        assert found.frame.select("symbol", "shares").rows() == [(symbol, Decimal(place + 1))]
        assert found.to_dicts()[0]["symbol"] == symbol
    back = pl.read_csv(everything.to_csv().encode(), schema_overrides={"symbol": pl.String})
    assert back["symbol"].to_list() == everything.frame["symbol"].to_list()
    assert sorted(back["symbol"].to_list()) == sorted(odd)


def test_filters_take_kind_venue_and_issue(ledger: Ledger) -> None:
    stored(A, NOON)

    assert told(readers.rows(venue_kind="non_ats")) == ["BRK.B A firm 3.5 v1"]
    assert told(readers.rows(mpid="SGMT,UBSA")) == ["AAPL UBSA 100 v1", "BRK.B SGMT 7 v1"]
    assert told(readers.rows(venue_name="A firm")) == ["BRK.B A firm 3.5 v1"]
    assert told(readers.rows(issue_name="AAPL Inc")) == ["AAPL UBSA 100 v1"]
    assert told(readers.rows(symbol=["AAPL", "BRK.B"], venue_kind="ATS")) == ["AAPL UBSA 100 v1", "BRK.B SGMT 7 v1"]


def test_complaint_24_a_range_of_one_week_has_that_week(ledger: Ledger) -> None:
    weeks = [WEEK - timedelta(days=7 * back) for back in range(3)]
    for week in weeks:
        stored([("AAPL", "UBSA", str(week.day), 1)], NOON, key=KEY._replace(week_ending=week))

    def found(**asked: object) -> list[date]:
        return readers.rows(tier="OTC", **asked).frame["week_ending"].to_list()  # type: ignore[arg-type]

    assert found(from_week=weeks[1], to_week=weeks[1]) == [weeks[1]]
    assert found(from_week=weeks[1]) == found(from_week=weeks[1], to_week=WEEK) == [weeks[1], WEEK]
    assert found(to_week=weeks[1]) == [weeks[2], weeks[1]]
    assert found(weeks="all") == sorted(weeks)
    assert found(week_ending=f"{WEEK},{weeks[2]}") == [weeks[2], WEEK]
    assert found(weeks=3, as_of="2025-12-26") == [weeks[1], WEEK]
    assert found(weeks=3, on_day="2025-12-15") == sorted(weeks)
    assert found() == [WEEK]


def test_what_is_lacking_is_told_by_partition(ledger: Ledger) -> None:
    stored(A, NOON)
    result = readers.rows(week_ending=[WEEK, "2025-11-21", "2025-12-12"])
    lacking = {(str(one.week_ending), one.tier.value): one.state.value for one in result.meta.coverage.missing}

    assert lacking == {
        ("2025-11-14", "NMS_TIER_1"): "NOT_CAPTURED",
        ("2025-11-14", "NMS_TIER_2"): "NOT_CAPTURED",
        ("2025-11-21", "NMS_TIER_1"): "NOT_CAPTURED",
        ("2025-11-21", "NMS_TIER_2"): "NOT_CAPTURED",
        ("2025-11-21", "OTC"): "NOT_CAPTURED",
        ("2025-12-12", "NMS_TIER_1"): "NOT_CAPTURED",
        ("2025-12-12", "NMS_TIER_2"): "NOT_YET_DUE",
        ("2025-12-12", "OTC"): "NOT_YET_DUE",
    }
    assert not result.meta.coverage.complete
    assert [warning.code for warning in result.warnings] == ["incomplete"]
    told = "rows: as of 2025-12-26 12:00:00 UTC, from 1 capture, 8 partitions lacking"
    assert repr(result) == f"<Result {told}, 1 warning; .frame, .to_pandas(), .meta, .warnings>"
    assert repr(result.meta) == f"<Meta {told}; .inputs, .coverage, .as_document()>"


def test_complaint_10_pruned_rows_are_an_error_naming_what_remains(ledger: Ledger) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)
    before = readers.rows(capture=first.capture_id)
    Capture.objects.filter(pk=first.pk).update(pruned_at=NOON + 2 * HOUR)
    store.discard(first.vintage_path)

    asked: list[Callable[[], object]] = [
        lambda: readers.rows(capture=first.capture_id),
        lambda: readers.rows(week_ending=WEEK, tier="OTC", as_of=NOON),
        lambda: before.frame,
    ]
    assert [kind_of(ask) for ask in asked] == ["vintage-pruned"] * 3
    with pytest.raises(readers.ReadersError) as caught:
        readers.rows(capture=first.capture_id)
    assert (caught.value.status, caught.value.facts.capture_ids) == (410, (second.capture_id,))
    assert [one.state for one in readers.rows(as_of=NOON).meta.coverage.missing if one.tier == "OTC"] == ["PRUNED"]


def test_complaint_28_an_open_anomaly_is_told_with_its_partition_only(ledger: Ledger) -> None:
    capture = stored(A, NOON)
    stored([("IBM", "UBSA", "1", 1)], NOON, key=T1)
    Anomaly.objects.record(Category.IMPLAUSIBLE, Severity.ERROR, "a third of the rows", partition=capture.partition)

    warned = {tier: [warning.code for warning in readers.rows(tier=tier).warnings] for tier in ("OTC", "NMS_TIER_1")}
    assert warned == {"OTC": ["open_anomaly"], "NMS_TIER_1": []}
    [warning] = readers.rows(tier="OTC").warnings
    assert warning.text == "2025-11-14 OTC: open ERROR anomaly, IMPLAUSIBLE: a third of the rows"
    before = readers.rows(tier="OTC").etag
    Anomaly.objects.get().resolve(by="a person", note="looked at it")
    assert readers.rows(tier="OTC").warnings == ()
    assert readers.rows(tier="OTC").etag != before


def test_a_file_that_is_lost_is_an_error_of_ours(ledger: Ledger) -> None:
    stored([("IBM", "UBSA", "1", 1)], NOON, key=T1)
    capture = stored(A, NOON)
    result = readers.rows(tier="OTC")
    store.discard(capture.vintage_path)

    assert kind_of(lambda: result.frame) == kind_of(lambda: result.page(None, 10)) == "damaged"


def test_pages_of_any_size_have_each_row_once_while_a_restatement_lands(ledger: Ledger) -> None:
    lines = [(f"S{number % 20:02}", f"V{number // 20:03}", f"{number}.5", 1) for number in range(70)]
    stored(lines, NOON)
    stored([("IBM", "UBSA", "1", 1), ("IBM", "A firm", "2", 1)], NOON, key=T1)
    whole = readers.rows()
    expected = whole.frame

    for limit in (1, 7, 70, 72, 1000):
        after, pages = None, []
        while True:
            result = readers.rows(position=whole.meta.position, on_day=whole.meta.on_day)
            page = result.page(after, limit)
            pages.append(page.frame)
            if page.next is None:
                break
            after = page.next
            if len(pages) == 1 and limit == 7:
                stored(lines[:50], NOON + HOUR)
        assert len(pages) == -(-72 // limit)
        assert pl.concat(pages).equals(expected)
    assert readers.rows(tier="OTC").total == 50


@pytest.mark.parametrize("many", [1, 2, 40])
def test_rows_of_many_partitions_are_the_same_by_page_and_by_batch(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """However many files one scan reads; AAPL and BRK.B are in every second week, OLD in the oldest vintage alone."""
    monkeypatch.setattr(import_module("pipeline.readers.rows"), "MANY", many)  # a function has the name
    weeks = [WEEK - timedelta(days=7 * back) for back in range(6)]
    stored([("OLD", "UBSA", "1", 1)], NOON - HOUR, key=KEY._replace(week_ending=weeks[0]))
    for back, week in enumerate(weeks):
        stored(A if back % 2 else B, NOON, key=KEY._replace(week_ending=week))
    questions: list[dict[str, str | list[str]]] = [
        {},
        {"symbol": "BRK.B"},
        {"symbol": ["NEWW", "BRK.B"]},
        {"mpid": "SGMT"},
    ]
    for asked in questions:
        whole = readers.rows(weeks="all", **asked)  # type: ignore[arg-type]
        page = whole.page(None, 2)
        pages = [page.frame]
        while page.next is not None:
            page = whole.page(page.next, 2)
            pages.append(page.frame)
        assert pl.concat(pages).equals(whole.frame)
        assert pl.concat(whole.batches()).equals(whole.frame)
    known = readers.rows(weeks="all", vintage="first", symbol=["AAPL", "OLD"])
    assert known.page(None, 1).frame["symbol"].to_list() == ["AAPL"]
    unknown = readers.rows(weeks="all", symbol=["AAPL", "NONE"])
    assert kind_of(lambda: unknown.page(None, 1)) == kind_of(lambda: list(unknown.batches())) == "unknown-symbol"


@pytest.mark.parametrize(
    "after", [(), ("x",), ("2025-11-14", "OTC"), ("2025-11-14", "OTC", "3"), ("2025-11-14", "T9", 3)]
)
def test_a_place_that_no_page_gave_is_refused(ledger: Ledger, after: tuple[str | int, ...]) -> None:
    stored(A, NOON)
    assert kind_of(lambda: readers.rows().page(after, 10)) == "invalid-parameter"
    assert kind_of(lambda: readers.rows().page(None, 0)) == "invalid-parameter"


def test_a_cell_of_a_notebook_gets_rows(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells run in an event loop, where Django asks no ledger unless it is told that it may."""
    stored(A, NOON)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

    async def cell() -> int:
        return len(readers.rows(symbol="BRK.B").to_pandas())

    assert asyncio.run(cell()) == 2


def test_forms_have_the_same_columns_and_exact_decimals(ledger: Ledger) -> None:
    stored(A, NOON)
    result = readers.rows(symbol="BRK.B").narrowed(["shares", "symbol"])

    assert result.to_csv() == "symbol,shares\nBRK.B,7.000000\nBRK.B,3.500000\n"
    assert result.to_ndjson() == (
        '{"symbol":"BRK.B","shares":"7.000000"}\n{"symbol":"BRK.B","shares":"3.500000"}\n{"_end": true, "rows": 2}\n'
    )
    assert result.to_dicts() == [
        {"symbol": "BRK.B", "shares": "7.000000"},
        {"symbol": "BRK.B", "shares": "3.500000"},
    ]
    assert pl.read_parquet(result.to_parquet()).equals(result.frame)
    frame = result.to_pandas()
    assert (str(frame.dtypes["shares"]), frame["shares"].sum()) == ("decimal128(18, 6)[pyarrow]", Decimal("10.500000"))
    assert result.to_arrow().column_names == ["symbol", "shares"]
    assert kind_of(lambda: result.narrowed(["volume"])) == "unknown-field"
