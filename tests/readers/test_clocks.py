"""FINRA's clock: rows as published by a day, from the vintages captured later; what cannot be known is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import time_machine

from pipeline import readers
from pipeline.models import Capture
from tests.readers.test_revisions import DAY, DUE, A, B, C, capture_at
from tests.readers.test_rows import kind_of
from tests.support.capturing import WEEK
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

LATER = DUE + timedelta(days=300)  # a backfill: years after the publication


def published(day: date | datetime | str, **asked: str) -> readers.Result:
    return readers.rows(tier="OTC", week_ending=WEEK, as_of=day, clock="published", **asked)


def symbols(result: readers.Result) -> list[str]:
    return result.frame["symbol"].to_list()


def lacking(result: readers.Result) -> tuple[int, int, int]:
    found = result.summary
    return found.revised_later, found.removed_later, found.not_seen_before


def test_a_backfill_says_what_was_published_long_before_it(ledger: Ledger, few_rows: None) -> None:
    capture_at(MemorySource(), LATER, C)  # AAPL was revised on 2025-12-22, seven days after the first publication
    with time_machine.travel(LATER + DAY, tick=False):
        assert kind_of(lambda: readers.rows(tier="OTC", week_ending=WEEK, as_of="2025-12-20").frame) == "not-known-yet"
        before, after = published("2025-12-20"), published("2025-12-22")

        assert (symbols(before), lacking(before)) == (["IBM", "NEWW"], (1, 0, 1))
        assert (symbols(after), lacking(after)) == (["AAPL", "IBM", "NEWW"], (0, 0, 1))
        assert [one.code for one in before.warnings] == ["published_clock"]
        assert before.meta.as_of == datetime(2025, 12, 21, 4, 59, 59, 999999, tzinfo=UTC)
        assert not before.pinned, "a capture of tomorrow may tell more"
        assert before.etag != after.etag
        assert before.total == 2
        assert kind_of(lambda: published("2025-12-14")) == "not-yet-due"


def test_the_first_vintage_after_the_day_is_read_and_what_went_meanwhile_counted(
    ledger: Ledger, few_rows: None
) -> None:
    source = MemorySource()
    for days, lines in ((0, A), (7, B), (14, C)):
        capture_at(source, DUE + days * DAY, lines)
    with time_machine.travel(LATER, tick=False):
        on_first_day, in_between, after_all = published("2025-12-15"), published("2025-12-23"), published("2026-01-05")

        assert (symbols(on_first_day), lacking(on_first_day)) == (["BRKB", "IBM"], (1, 0, 0))  # vintage 2 is read
        assert (symbols(in_between), lacking(in_between)) == (
            ["AAPL", "IBM", "NEWW"],
            (0, 1, 0),
        )  # vintage 3: BRKB went
        assert symbols(after_all) == ["AAPL", "IBM", "NEWW"]
        assert lacking(published("2025-12-23", symbol="AAPL")) == (0, 0, 0)
        history = readers.symbol_history(symbol="AAPL", as_of="2025-12-20", clock="published", tier="OTC")
        assert (history.frame.is_empty(), lacking(history)) == (True, (1, 0, 0))


def test_the_clock_is_said_of_an_instant_only(ledger: Ledger, few_rows: None) -> None:
    capture_at(MemorySource(), DUE, A)
    for asked in ({}, {"vintage": "first"}, {"at_age_days": "7"}, {"position": "1"}):
        assert kind_of(lambda asked=asked: readers.rows(clock="published", **asked)) == "invalid-parameter"  # type: ignore[misc]
    assert kind_of(lambda: readers.rows(clock="theirs", as_of="2025-12-15")) == "invalid-parameter"
    assert symbols(readers.rows(clock="captured", tier="OTC", week_ending=WEEK)) == ["AAPL", "BRKB", "IBM"]
    assert kind_of(lambda: readers.venues(clock="published", as_of="2025-12-15")) == "unknown-parameter"  # type: ignore[call-arg]


def test_what_is_counted_beside_the_rows_is_another_answer_once_it_is_known_no_more(
    ledger: Ledger, few_rows: None
) -> None:
    source = MemorySource()
    for days, lines in ((0, A), (14, C)):
        capture_at(source, DUE + days * DAY, lines)
    with time_machine.travel(LATER, tick=False):
        before = published("2025-12-23")
        assert lacking(before) == (0, 1, 0)
        Capture.objects.filter(version=1).update(pruned_at=LATER)
        after = published("2025-12-23")
        assert lacking(after) == (0, 0, 1)

    assert before.frame.equals(after.frame)
    assert before.etag != after.etag
