"""Taking a capture back: it stays and says so, the rows before it are the latest again, and as-of answers stay the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from pipeline import operations, readers
from pipeline.models import Act, Anomaly, Capture, CaptureKind, Category, Cause, OperatorLogEntry, Partition
from pipeline.operations import Order, Refused
from pipeline.weeks import analytics
from tests.readers.test_revisions import A, B, capture_at, shown
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource

DUE = datetime(2025, 12, 15, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ORDER = Order(operator="ann", reason="a truncated file")


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


@pytest.fixture
def _annulled(ledger: Ledger, source: MemorySource, few_rows: None) -> None:
    capture_at(source, DUE, A)
    wrong = capture_at(source, DUE + 7 * DAY, B)
    with time_machine.travel(DUE + 8 * DAY, tick=False):
        operations.annul(wrong, ORDER)


def versions(*columns: str) -> list[tuple[object, ...]]:
    return list(Capture.objects.order_by("version").values_list(*columns))


@pytest.mark.usefixtures("_annulled")
def test_the_rows_before_it_are_the_latest_again_and_it_says_so() -> None:
    first, wrong, annulment = Capture.objects.order_by("version")

    assert versions("version", "kind", "cause") == [
        (1, CaptureKind.FIRST, Cause.SOURCE),
        (2, CaptureKind.RESTATEMENT, Cause.SOURCE),
        (3, CaptureKind.ANNULMENT, Cause.ANNULLED),
    ]
    assert (annulment.annuls, wrong.annulment, annulment.content_hash) == (wrong, annulment, first.content_hash)
    assert (annulment.requested_by, annulment.request_reason) == ("ann", "a truncated file")
    assert annulment.reason.startswith(f"{wrong} was annulled; the rows of version 1 again")
    assert Partition.objects.get().latest == annulment
    assert shown(readers.rows(), "symbol", "shares") == [("AAPL", 100.0), ("BRKB", 100.0), ("IBM", 50.0)]
    entry = OperatorLogEntry.objects.get()
    assert (entry.act, entry.operator, entry.reason) == (Act.ANNUL, "ann", "a truncated file")
    told = readers.captures(capture=wrong.capture_id)
    assert shown(told, "annulled_by", "annulled_note", "is_latest") == [
        (annulment.capture_id, "a truncated file", False)
    ]
    assert [one.code for one in readers.rows(capture=wrong.capture_id).warnings] == ["restated_later", "annulled"]
    assert shown(readers.partitions(tier="OTC", week_ending="2025-11-14"), "state", "version") == [("ANNULLED", 3)]


@pytest.mark.promise(5)
@pytest.mark.usefixtures("_annulled")
def test_as_of_answers_stay_and_the_feed_has_one_more_entry() -> None:
    known = {days: shown(readers.rows(as_of=DUE + days * DAY), "version")[0] for days in (1, 7, 8)}

    assert known == {1: (1,), 7: (2,), 8: (3,)}
    assert shown(readers.restatements(), "position", "cause", "rows_changed", "annuls") == [
        (2, "SOURCE", 1, None),
        (3, "ANNULLED", 1, Capture.objects.get(version=2).capture_id),
    ]
    assert readers.restated_symbols().frame.is_empty()
    assert shown(readers.rows(vintage="first"), "version")[0] == (1,)
    assert analytics.newest_snapshot(Partition.objects.get().week_ending) is not None


@pytest.mark.usefixtures("_annulled")
def test_the_same_rows_are_refused_until_an_operator_forces_them(source: MemorySource) -> None:
    capture_at(source, DUE + 9 * DAY, B)
    assert Capture.objects.count() == 3
    refused = Anomaly.objects.open().get(category=Category.REFUSED)
    assert 'which ann annulled on 2025-12-23: "a truncated file". Force takes them' in refused.message

    capture_at(source, DUE + 10 * DAY, A)  # what is held: nothing stands against it any more
    assert not Anomaly.objects.open().filter(category=Category.REFUSED).exists()
    forced = capture_at(source, DUE + 11 * DAY, B, force=True)
    assert (forced.version, forced.cause) == (4, Cause.FORCED)
    capture_at(source, DUE + 12 * DAY, A)
    assert capture_at(source, DUE + 13 * DAY, B).version == 6


@pytest.mark.usefixtures("_annulled")
def test_what_cannot_be_annulled_is_refused_and_nothing_is_done() -> None:
    first, wrong, annulment = Capture.objects.order_by("version")
    orders = (
        (wrong, ORDER, "is annulled already"),
        (annulment, ORDER, "takes another one back itself"),
        (first, Order(operator="ann"), "say why"),
        (first, ORDER, "is the only capture of its partition that stands"),
    )
    for capture, order, why in orders:
        with pytest.raises(Refused, match=why):
            operations.annul(capture, order)
    assert Capture.objects.count() == 3


def test_an_older_capture_may_be_annulled_too(ledger: Ledger, source: MemorySource, few_rows: None) -> None:
    for days, lines in ((0, A), (7, [A[0], A[2]]), (14, B)):
        capture_at(source, DUE + days * DAY, lines)
    with time_machine.travel(DUE + 15 * DAY, tick=False):
        operations.annul(Capture.objects.get(version=2), ORDER)

    newest = Capture.objects.get(version=4)
    assert (newest.content_hash, newest.rows_touched) == (Capture.objects.get(version=3).content_hash, 0)
    with time_machine.travel(DUE + 20 * DAY, tick=False):
        assert readers.revision_triangle(ages=14).meta.facts.excluded == {"annulled": 1}
