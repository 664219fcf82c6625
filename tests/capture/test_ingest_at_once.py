"""Two processes on one partition at the same time: each piece of work is done once, and no update is lost."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from pipeline.capture import ingest
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.models import Capture, Manifest, Outcome, Partition
from pipeline.vintages import archive, read
from tests.support.capturing import (
    DAY,
    KEY,
    PATIENCE,
    at_once,
    captured,
    counts,
    latest,
    rows_at,
    version,
    vintage_files,
)
from tests.support.engines import Ledger
from tests.support.failing import acting_at
from tests.support.sources_in_memory import MemorySource, row
from tests.vintages.frames import text_of

pytestmark = pytest.mark.each_database

A = [row(symbol, "UBSA", 100) for symbol in ("AAPL", "MSFT", "IBM")]
B = [*A[:2], row("IBM", "UBSA", 200)]
C = [*A[:2], row("IBM", "UBSA", 300)]
TERMS = Terms(run_date=DAY)


def source_of(lines: list[str]) -> MemorySource:
    """A source that has these lines for the partition."""
    source = MemorySource()
    source.publish_rows(KEY, lines)
    return source


class Together:
    """Lets each of `parties` ingests go on once all have read the same newest capture and their payload."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)
        self._passed = threading.local()

    def meet(self) -> None:
        """Wait for the others, the first time."""
        if not hasattr(self._passed, "once"):
            self._passed.once = True
            self._barrier.wait(PATIENCE)


def ingesting(*publications: list[str], terms: Terms = TERMS) -> list[Result]:
    """What becomes of the partition when each of the publications is ingested at the same time."""
    together = Together(len(publications))
    with acting_at("read.after", together.meet):
        return at_once(*(partial(ingest.ingest, KEY, source_of(lines), terms) for lines in publications))


@pytest.mark.promise(10)
def test_two_payloads_at_once_are_two_captures_and_neither_is_lost(ledger: Ledger) -> None:
    results = ingesting(A, B)
    assert sorted(result.outcome for result in results) == [Outcome.INGESTED, Outcome.RESTATED]
    assert list(Capture.objects.order_by("version").values_list("version", "rows_changed")) == [(1, 0), (2, 1)]
    vintages_held = [rows_at(version(number)) for number in (1, 2)]
    assert sorted(rows[1] for rows in vintages_held) == ["IBM UBSA 100 1", "IBM UBSA 200 1"]
    assert latest() == vintages_held[1]


@pytest.mark.promise(10)
def test_two_restatements_at_once_follow_one_another(ledger: Ledger) -> None:
    captured(source_of([]), A)
    results = ingesting(B, C)
    assert [result.outcome for result in results] == [Outcome.RESTATED, Outcome.RESTATED]
    assert sorted(result.capture.version for result in results if result.capture) == [2, 3]
    assert len(vintage_files()) == 4  # one was written for nothing: its version was another's by then
    assert Partition.objects.get().latest == version(3)


@pytest.mark.promise(2, 10)
@pytest.mark.parametrize("normalize", [True, False])
def test_one_payload_at_once_is_one_capture(ledger: Ledger, normalize: bool) -> None:
    results = ingesting(A, A, terms=Terms(run_date=DAY, normalize=normalize))
    assert sorted(result.outcome for result in results) == [Outcome.INGESTED, Outcome.UNCHANGED]
    assert {result.capture for result in results} == {version(1)}
    assert Manifest.objects.count() == (2 if normalize else 1)


@pytest.mark.promise(10)
def test_several_archive_one_payload_at_once(archive_dir: Path) -> None:
    """Each archives all of 20 payloads, starting each of them together with the others."""
    payloads = {
        hashlib.sha256(content).hexdigest(): content
        for content in (random.Random(n).randbytes(500_000) for n in range(20))
    }
    barrier = threading.Barrier(3)

    def archive_all() -> list[bool]:
        found = []
        for sha256, content in payloads.items():
            barrier.wait(PATIENCE)
            archive.put(content, sha256)
            found.append(archive.get(sha256) == content)
        return found

    assert at_once(archive_all, archive_all, archive_all) == [[True] * 20] * 3
    assert len([path for path in archive_dir.rglob("*") if path.is_file()]) == 20


@pytest.mark.promise(10)
def test_one_payload_forced_twice_at_once_is_two_captures(ledger: Ledger) -> None:
    results = ingesting(A, A, terms=Terms(run_date=DAY, force=True))
    assert sorted(result.capture.version for result in results if result.capture) == [1, 2]
    assert [counts(version(number)) for number in (1, 2)] == [(3, 0, 0, 0), (0, 0, 0, 3)]
    assert rows_at(version(1)) == rows_at(version(2))


@pytest.mark.promise(10)
def test_rows_of_an_archived_capture_are_stored_once(ledger: Ledger) -> None:
    captured(source_of([]), A, normalize=False)
    captured(source_of([]), B, normalize=False)
    renormalize = partial(ingest.renormalize, KEY, TERMS)
    outcomes = {result.outcome for result in at_once(renormalize, renormalize)}
    assert outcomes <= {Outcome.INGESTED, Outcome.UNCHANGED}
    assert (len(vintage_files()), Manifest.objects.count()) == (2, 4)
    assert [rows_at(version(number))[1] for number in (1, 2)] == ["IBM UBSA 100 1", "IBM UBSA 200 1"]


@pytest.mark.promise(5)
def test_as_of_waits_for_a_capture_being_stored(ledger: Ledger) -> None:
    """Its rows are known since before the instant, and are committed after the question: the answer must have them."""
    captured(source_of([]), A)
    known, commit = threading.Event(), threading.Event()

    def wait() -> None:
        known.set()
        commit.wait(PATIENCE)

    with acting_at("rows.record.after", wait):
        writer = threading.Thread(target=in_thread, args=(partial(ingest.ingest, KEY, source_of(B), TERMS),))
        writer.start()
        assert known.wait(PATIENCE)
        instant, answers = timezone.now(), list[list[str]]()
        reader = threading.Thread(target=in_thread, args=(lambda: answers.append(rows_known_at(instant)),))
        reader.start()
        reader.join(0.3)
        commit.set()
        for thread in (writer, reader):
            thread.join(PATIENCE)
    assert answers == [rows_known_at(instant)] == [["AAPL UBSA 100 1", "IBM UBSA 200 1", "MSFT UBSA 100 1"]]
    assert rows_known_at(datetime(2025, 1, 1, tzinfo=UTC)) == []


def rows_known_at(instant: datetime) -> list[str]:
    """The as-of answer."""
    return text_of(read.as_of(instant, [KEY]))


def in_thread(act: Callable[[], object]) -> None:
    """Act on a connection of the thread's own."""
    try:
        act()
    finally:
        connections.close_all()
