"""The file of a snapshot's symbols: its name, what it says of itself, who else can read it, and what its loss does."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest
from django.core.files.storage import default_storage

from pipeline.models import AnalyticsSnapshot
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, symbols
from tests.capturing import WEEK, captured
from tests.engines import Ledger
from tests.sources_in_memory import MemorySource, row

pytestmark = pytest.mark.usefixtures("few_rows")

LINES = [row("A", "AAAA", "1.5"), row("A", "BBBB", "0.5"), row("AB", "AAAA", 7), row("B", "AAAA", 9)]


@pytest.fixture
def snapshot(ledger: Ledger) -> AnalyticsSnapshot:
    """Of a week of one tier and three symbols."""
    captured(MemorySource(), LINES)
    calculated = analytics.calculate_week(WEEK).snapshot
    assert calculated is not None
    return calculated


def file_of(snapshot: AnalyticsSnapshot) -> Path:
    return Path(default_storage.path(snapshot.symbols_path))


def test_the_snapshot_names_the_file_and_its_bytes(snapshot: AnalyticsSnapshot) -> None:
    content = file_of(snapshot).read_bytes()

    assert snapshot.symbols_path == f"analytics/2025-11-14/s0001-{snapshot.inputs_hash[:12]}.parquet"
    assert (snapshot.symbols_bytes, snapshot.symbols_sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.promise(6)
def test_the_file_names_the_captures_that_it_was_computed_from(snapshot: AnalyticsSnapshot) -> None:
    label = pyarrow.parquet.read_metadata(file_of(snapshot)).metadata or {}

    (capture,) = snapshot.inputs.all()
    assert label[b"computed_from"].decode() == capture.capture_id
    assert (label[b"week_ending"], label[b"sequence"], label[b"calculation_version"]) == (b"2025-11-14", b"1", b"1")


def test_another_reader_finds_exact_decimals_and_the_week(snapshot: AnalyticsSnapshot) -> None:
    found = pyarrow.parquet.read_table(file_of(snapshot)).to_pylist()

    assert [(each["week_ending"], each["scope"], each["symbol"], each["shares"]) for each in found] == [
        (date(2025, 11, 14), "OTC", "AB", Decimal("7.000000")),
        (date(2025, 11, 14), "OTC", "A", Decimal("2.000000")),
        (date(2025, 11, 14), "OTC", "B", Decimal("9.000000")),
    ]
    assert (found[1]["venues"], found[1]["hhi_low"], found[1]["hhi_high"]) == (2, 0.625, 0.625)


def test_symbols_are_found_by_how_they_begin_the_largest_first(snapshot: AnalyticsSnapshot) -> None:
    assert symbols.largest(snapshot, "OTC", "ATS")["symbol"].to_list() == ["B", "AB", "A"]
    assert symbols.largest(snapshot, "OTC", "ATS", "A")["symbol"].to_list() == ["AB", "A"]
    assert symbols.largest(snapshot, "OTC", "ATS", "a").height == 0
    assert symbols.largest(snapshot, "OTC", "ALL").height == 0


def test_a_lost_file_is_said_to_be_lost(snapshot: AnalyticsSnapshot) -> None:
    file_of(snapshot).unlink()

    with pytest.raises(VintageDamaged, match=f"{snapshot.symbols_path} is missing"):
        symbols.of_snapshot(snapshot)
