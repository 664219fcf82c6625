"""Archived payloads are read again without the source: a parser fix adds a vintage only where rows really differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from pipeline.capture import ingest
from pipeline.capture.terms import Terms
from pipeline.finra import reader
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.formats import rules
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Outcome, Severity
from pipeline.vintages import archive
from tests.support.capturing import DAY, KEY, WEEK, captured, counts, latest, offered, open_anomalies, rows_at, version
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row

T1 = PartitionKey(WEEK, Tier.NMS_TIER_1)
TERMS = Terms(run_date=DAY)
A = [row(symbol, "UBSA", 100, 2) for symbol in ("AAPL", "MSFT", "BRK.B", "IBM", "F")]
SHORT = [row(symbol, "UBSA", 1, tier=Tier.NMS_TIER_1, updated="2025-12-01") for symbol in ("IBM", "F")]
ROWS_READ_BEFORE = ["AAPL UBSA 100 2", "F UBSA 100 2", "IBM UBSA 100 2", "MSFT UBSA 100 2"]


@contextmanager
def parser(number: int, longest_symbol: int) -> Iterator[None]:
    """A release of the parser, which takes symbols up to this length."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rules.LIMITS, "symbol", longest_symbol)
        patch.setattr(reader, "PARSER_VERSION", number)
        yield


@pytest.fixture(autouse=True)
def _reject_share(settings: Settings) -> None:
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.6


@pytest.mark.promise(1)
def test_a_parser_fix_adds_a_vintage_only_where_rows_differ(ledger: Ledger) -> None:
    source = MemorySource()
    with parser(1, longest_symbol=4):
        first, other = captured(source, A), captured(source, SHORT, key=T1)
    assert (first.rows_kept, first.rows_rejected, latest()) == (4, 1, ROWS_READ_BEFORE)
    with parser(2, longest_symbol=40):
        outcomes = [ingest.renormalize(key, TERMS).outcome for key in (KEY, T1, KEY, T1)]
    assert outcomes == [Outcome.RESTATED, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    second = version(2)
    assert (second.kind, second.parser_version, counts(second)) == (CaptureKind.REPARSED, 2, (1, 0, 0, 4))
    assert second.payload_sha256 == first.payload_sha256
    assert (rows_at(first), rows_at(second)) == (ROWS_READ_BEFORE, sorted([*ROWS_READ_BEFORE, "BRK.B UBSA 100 2"]))
    assert list(Capture.objects.filter(partition=other.partition)) == [other]


def test_what_was_read_again_is_what_the_next_payload_is_compared_with(ledger: Ledger) -> None:
    source = MemorySource()
    with parser(1, longest_symbol=4):
        captured(source, A)
    with parser(2, longest_symbol=40):
        ingest.renormalize(KEY, TERMS)
        assert offered(source, list(reversed(A))).outcome == Outcome.UNCHANGED
        assert offered(source, A[:4]).outcome == Outcome.RESTATED
    assert counts(version(3)) == (0, 0, 1, 4)


@pytest.mark.promise(4)
def test_a_parser_that_loses_rows_is_refused_until_it_is_forced(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    rows = latest()
    with parser(2, longest_symbol=3):
        refused = ingest.renormalize(KEY, TERMS)
        assert (refused.outcome, refused.capture, latest()) == (Outcome.REFUSED, version(1), rows)
        assert open_anomalies() == [(Severity.ERROR, Category.REFUSED)]
        forced = ingest.renormalize(KEY, Terms(run_date=DAY, force=True))
    assert forced.outcome == Outcome.RESTATED
    assert (counts(version(2)), latest()) == ((0, 0, 3, 2), ["F UBSA 100 2", "IBM UBSA 100 2"])


def test_archived_captures_get_their_rows(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A, normalize=False)
    captured(source, A[:4], normalize=False)
    result = ingest.renormalize(KEY, TERMS)
    assert (result.outcome, result.reason) == (Outcome.INGESTED, "rows of 2 archived capture(s) stored")
    assert ingest.renormalize(KEY, TERMS).outcome == Outcome.UNCHANGED
    assert (len(rows_at(version(1))), len(rows_at(version(2)))) == (5, 4)


def test_nothing_archived_is_late_and_no_anomaly(ledger: Ledger) -> None:
    result = ingest.renormalize(KEY, TERMS)
    assert (result.outcome, result.reason) == (Outcome.LATE, "nothing is archived for it; ingest it first")
    assert Anomaly.objects.count() == 0


@pytest.mark.promise(1, 4)
def test_a_damaged_archive_is_critical_and_touches_nothing(ledger: Ledger) -> None:
    source = MemorySource()
    capture = captured(source, A)
    default_storage.delete(archive.path_of(capture.payload_sha256))
    result = ingest.renormalize(KEY, TERMS)
    assert (result.outcome, len(latest())) == (Outcome.FAILED, 5)
    assert open_anomalies() == [(Severity.CRITICAL, Category.ARCHIVE_DAMAGED)]


def test_an_archived_capture_whose_payload_nobody_has_stops_its_partition(ledger: Ledger) -> None:
    """Were it passed over, a vintage would be missing for good between two others."""
    source = MemorySource()
    capture = captured(source, A, normalize=False)
    default_storage.delete(archive.path_of(capture.payload_sha256))
    assert offered(source, A[:4]).outcome == Outcome.FAILED
    assert open_anomalies() == [(Severity.CRITICAL, Category.ARCHIVE_DAMAGED)]
    assert Capture.objects.count() == 1
