"""One partition, end to end: what becomes of each kind of payload, and what stays untouched."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from pipeline.capture import ingest, results
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.payloads import Payload
from pipeline.finra.sources.base import SourceError, TransientSourceError, UnsafeSource
from pipeline.models import Anomaly, Capture, CaptureKind, Category, Cause, Outcome, Severity
from pipeline.vintages import archive
from tests.support.capturing import (
    DAY,
    KEY,
    WEEK,
    captured,
    counts,
    latest,
    offered,
    open_anomalies,
    outcomes_seen,
    rows_at,
    version,
    vintage_files,
)
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row

A = [row(symbol, "UBSA", 100, 2) for symbol in ("AAPL", "MSFT", "BRK.B", "IBM", "F")]
B = [*A[:4], row("F", "UBSA", "0.5", 1)]
T1 = PartitionKey(WEEK, Tier.NMS_TIER_1)
TERMS = Terms(run_date=DAY)
PAGE = b"<html><body>503 Service Unavailable</body></html>"


def offered_bytes(source: MemorySource, content: bytes, terms: Terms = TERMS) -> Result:
    """What becomes of the partition once the source has this content for it."""
    source.publish(KEY, content)
    return ingest.ingest(KEY, source, terms)


def test_a_first_capture_a_replay_and_a_restatement_say_what_they_are(ledger: Ledger) -> None:
    source = MemorySource()
    first, again, restated = offered(source, A), offered(source, A), offered(source, B)
    outcomes = [(result.outcome, result.capture and result.capture.version) for result in (first, again, restated)]
    assert outcomes == [(Outcome.INGESTED, 1), (Outcome.UNCHANGED, 1), (Outcome.RESTATED, 2)]
    assert (first.reason, again.reason) == ("first capture: 5 rows", "unchanged: the same bytes as captured")
    old, new = (version(number).content_hash[:8] for number in (1, 2))
    assert restated.reason == f"content changed ({old} -> {new}): +0 rows, 1 changed, 0 gone; lastUpdateDate equal"


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    "content",
    [
        psv(*reversed(A)),
        psv(*A).rstrip(b"\n"),
        psv(*A).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + psv(*A),
        psv(*A).replace(b"|100|", b"|100.000|"),
    ],
    ids=["reordered", "no final newline", "CRLF", "BOM", "trailing zeros"],
)
def test_the_same_rows_in_other_bytes_add_nothing(ledger: Ledger, content: bytes) -> None:
    source = MemorySource()
    captured(source, A)
    assert offered_bytes(source, content).outcome == Outcome.UNCHANGED
    assert (Capture.objects.count(), len(vintage_files()), Anomaly.objects.count()) == (1, 1, 0)
    assert outcomes_seen() == ["INGESTED", "UNCHANGED"]


@pytest.mark.promise(11, 14)
def test_a_line_that_contradicts_the_rows_held_is_told_until_it_is_gone(ledger: Ledger, settings: Settings) -> None:
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.5
    source = MemorySource()
    captured(source, A)
    contradicted = psv(*A, row("AAPL", "UBSA", 999, 2))
    for occurrences in (1, 2):
        assert offered_bytes(source, contradicted).outcome == Outcome.UNCHANGED
        (anomaly,) = Anomaly.objects.open()
        assert (anomaly.category, anomaly.severity, anomaly.occurrences) == ("REJECTED_ROWS", "WARN", occurrences)
    assert "and 1 lines besides with the keys of some of them (DUPLICATE_KEY); the first: " in anomaly.message
    assert "|999|" in anomaly.message
    assert archive.get(anomaly.payload_sha256) == contradicted
    offered(source, A)
    assert not Anomaly.objects.open().exists()
    offered_bytes(source, contradicted)
    Anomaly.objects.open().get().resolve(by="ann", note="FINRA says that the first one is right")
    offered_bytes(source, contradicted)
    assert (Anomaly.objects.open().count(), Capture.objects.count()) == (0, 1)


@pytest.mark.promise(4)
def test_a_payload_short_of_rows_is_refused_until_forced(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    rows = latest()
    refused = offered(source, A[:3])
    assert refused.outcome == Outcome.REFUSED
    assert refused.reason.startswith(
        "restates 40% of the 5 rows held, more than the 25% allowed: 0 changed, +0, 2 gone"
    )
    assert (latest(), Capture.objects.count()) == (rows, 1)
    assert offered(source, A[:3]).outcome == Outcome.REFUSED
    (anomaly,) = Anomaly.objects.open()
    assert (anomaly.category, anomaly.severity, anomaly.occurrences) == (Category.REFUSED, Severity.ERROR, 2)
    assert archive.get(anomaly.payload_sha256) == psv(*A[:3])
    forced = offered(source, A[:3], force=True)
    assert forced.outcome == Outcome.RESTATED
    assert version(2).kind == CaptureKind.FORCED
    assert (latest(), rows_at(version(1))) == (rows[:1] + rows[1:2] + rows[4:], rows)


@pytest.mark.promise(4)
def test_the_allowed_share_may_be_lost(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    assert offered(source, A[:4]).outcome == Outcome.RESTATED


@pytest.mark.promise(4)
@pytest.mark.parametrize("held", [True, False])
def test_no_rows_are_refused_whether_something_is_held_or_not(ledger: Ledger, held: bool) -> None:
    source = MemorySource()
    if held:
        captured(source, A)
    result = offered(source, [])
    assert (result.outcome, result.capture) == (Outcome.REFUSED, version(1) if held else None)
    assert result.reason.startswith("the payload has no rows: that means nothing published, never an empty week; ")
    assert Capture.objects.count() == int(held)


@pytest.mark.promise(1, 4)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PAGE, "HTML"),
        (b"", "the body is empty"),
        (b'{"statusCode": 429}', "JSON"),
        (b"week|tier\n", "missing:"),
        (psv(*A).replace(b"AAPL", b"\xff\xfe"), "not UTF-8"),
        (psv(*A[:2], "OTC|half a li"), "1 of 3 rows were rejected, more than"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_an_unreadable_payload_fails_is_archived_and_touches_nothing(
    ledger: Ledger, content: bytes, says: str, force: bool
) -> None:
    source = MemorySource()
    captured(source, A)
    rows = latest()
    result = offered_bytes(source, content, Terms(run_date=DAY, force=force))
    assert (result.outcome, result.capture) == (Outcome.FAILED, version(1))
    assert says in result.reason
    (anomaly,) = Anomaly.objects.open()
    assert (anomaly.category, anomaly.severity, anomaly.stage) == (Category.UNREADABLE, Severity.ERROR, "NORMALIZED")
    assert (anomaly.message, archive.get(anomaly.payload_sha256)) == (result.reason, content)
    assert (latest(), Capture.objects.count()) == (rows, 1)
    assert offered(source, B).outcome == Outcome.RESTATED


def test_what_the_source_withdraws_stays_captured_and_is_not_late(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    source.withdraw(KEY)
    result = ingest.ingest(KEY, source, TERMS)
    assert (result.outcome, result.capture) == (Outcome.NOT_OFFERED, version(1))
    assert result.reason == "the source does not offer it (any more): version 1 stays"
    assert Anomaly.objects.count() == 0


@pytest.mark.parametrize("fails", [False, True])
def test_rows_of_archived_captures_are_stored_though_the_source_does_not_deliver(ledger: Ledger, fails: bool) -> None:
    source = MemorySource()
    captured(source, A)
    captured(source, B, normalize=False)
    source.withdraw(KEY)
    if fails:
        with pytest.raises(TransientSourceError):
            ingest.ingest(KEY, FailingSource(TransientSourceError("reset")), TERMS)
    else:
        assert ingest.ingest(KEY, source, TERMS).outcome == Outcome.NOT_OFFERED
    assert "F UBSA 0.5 1" in latest()


class FailingSource(MemorySource):
    """A source that answers with an error."""

    def __init__(self, error: SourceError) -> None:
        super().__init__()
        self.error = error

    def fetch(self, key: PartitionKey) -> Payload:
        """Never."""
        raise self.error


def test_a_source_that_fails_leaves_an_anomaly_and_what_is_held(ledger: Ledger) -> None:
    captured(MemorySource(), A)
    result = ingest.ingest(KEY, FailingSource(UnsafeSource("a device")), TERMS)
    assert (result.outcome, result.reason, result.capture) == (Outcome.FAILED, "a device", version(1))
    assert open_anomalies() == [(Severity.ERROR, Category.FETCH_FAILED)]


def test_a_passing_error_reaches_the_caller(ledger: Ledger) -> None:
    captured(MemorySource(), A)
    error = TransientSourceError("connection reset")
    with pytest.raises(TransientSourceError, match="connection reset"):
        ingest.ingest(KEY, FailingSource(error), TERMS)
    assert open_anomalies() == []

    result = results.unfetched(KEY, error, TERMS)
    assert (result.outcome, result.reason, result.capture) == (Outcome.FAILED, "connection reset", version(1))
    assert open_anomalies() == [(Severity.WARN, Category.FETCH_FAILED)]


@pytest.mark.promise(3)
def test_a_partition_that_fails_changes_no_other(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    rows = latest()
    source.publish(T1, PAGE)
    assert ingest.ingest(T1, source, TERMS).outcome == Outcome.FAILED
    assert (latest(), Capture.objects.count()) == (rows, 1)
    assert {anomaly.partition and anomaly.partition.key for anomaly in Anomaly.objects.open()} == {T1}


def test_forcing_the_same_content_makes_a_new_vintage(ledger: Ledger) -> None:
    source = MemorySource()
    captured(source, A)
    forced = offered(source, A, force=True)
    assert forced.reason.startswith("forced; content the same (")
    assert (version(2).kind, version(2).cause, counts(version(2))) == (CaptureKind.FORCED, Cause.FORCED, (0, 0, 0, 5))
    assert rows_at(version(2)) == rows_at(version(1))
