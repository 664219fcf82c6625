"""The file of a snapshot's symbols: its name, what it says of itself, who else can read it, and what its loss does."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest
from django.core.files.storage import default_storage
from polars.testing import assert_frame_equal

from pipeline.integrity import losses
from pipeline.models import AnalyticsSnapshot, Anomaly, Category, Readiness, ReadinessState, Use
from pipeline.review import doctor
from pipeline.vintages.store import VintageDamaged
from pipeline.weeks import analytics, readiness, symbols
from tests.management.calling import call
from tests.support.capturing import DAY, WEEK, captured
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, row
from tests.vintages.test_store import spoil

pytestmark = pytest.mark.usefixtures("few_rows")

DAMAGES = ("removed", "cut", "flipped", "emptied")
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_and_computed_again(snapshot: AnalyticsSnapshot, damage: str) -> None:
    before = symbols.of_snapshot(snapshot).collect()
    spoil(file_of(snapshot), damage)

    with pytest.raises(
        VintageDamaged, match=rf"2025-11-14 snapshot 1: the file of its symbols is .* \({snapshot.symbols_path}\)"
    ):
        symbols.check(snapshot, whole=True)
    ran = call("rebuild_vintages", "--verify", "--json")

    assert (ran.code, [one["fate"] for one in ran.document["files"]]) == (0, ["WHOLE", "REBUILT"])
    assert ran.document["files"][1]["snapshot"] == "2025-11-14 snapshot 1"
    snapshot.refresh_from_db()
    symbols.check(snapshot, whole=True)
    assert_frame_equal(symbols.of_snapshot(snapshot).collect(), before, rel_tol=1e-12, abs_tol=0)
    assert list(default_storage.listdir("analytics/2025-11-14")[1]) == [file_of(snapshot).name]


def test_the_doctor_prints_what_makes_a_missing_file_again(snapshot: AnalyticsSnapshot) -> None:
    file_of(snapshot).unlink()

    (found,) = [one for one in doctor.diagnose(6, DAY).findings if "symbols" in one.what]
    assert (
        found.what == f"1 files of the symbols of snapshots are missing or damaged, the first: {snapshot.symbols_path}"
    )
    assert found.command == f"python manage.py rebuild_vintages --weeks 2025-11-14 --run-date {DAY}"


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_printed_command_repairs_a_damaged_file(snapshot: AnalyticsSnapshot, damage: str) -> None:
    spoil(file_of(snapshot), damage)

    ran = call("check_archive", "--all", "--json")
    (told,) = ran.document["lost_symbols"]
    (found,) = [one for one in doctor.diagnose(6, DAY).findings if "symbols" in one.what]
    repaired = call("rebuild_vintages", "--weeks", "2025-11-14")

    assert (ran.code, "the file of its symbols is lost or damaged" in told) == (1, True)
    assert found.command == f"python manage.py rebuild_vintages --weeks 2025-11-14 --run-date {DAY}"
    assert repaired.code == 0
    assert not [one for one in doctor.diagnose(6, DAY).findings if "symbols" in one.what]
    assert call("check_archive", "--all", "--json").document["lost_symbols"] == []


@pytest.mark.promise(8, 14)
def test_a_lost_file_is_one_truth_for_run_verdict_doctor_and_check(snapshot: AnalyticsSnapshot) -> None:
    readiness.decide_week(WEEK, DAY)
    whole = file_of(snapshot).read_bytes()
    file_of(snapshot).unlink()

    losses.check(DAY)

    (anomaly,) = Anomaly.objects.open().filter(category=Category.ARCHIVE_DAMAGED)
    assert (anomaly.week_ending, anomaly.severity, anomaly.payload_sha256) == (WEEK, "ERROR", snapshot.symbols_sha256)
    assert losses.standing().get() == anomaly  # no run is good, then
    assert Readiness.objects.get(use=Use.TRADING).state == ReadinessState.BLOCKED
    assert str(anomaly.pk) in " ".join(Readiness.objects.get(use=Use.TRADING).reasons)
    assert call("check_archive", "--read", 0).code == 1
    losses.check(DAY)
    assert Anomaly.objects.get(pk=anomaly.pk).occurrences == 1

    anomaly.resolve(by="ann", note="not needed any more")
    losses.check(DAY)
    assert not losses.standing().exists()
    assert not [one for one in doctor.diagnose(6, DAY).findings if "symbols" in one.what]

    file_of(snapshot).write_bytes(whole)
    losses.check(DAY)
    file_of(snapshot).unlink()
    losses.check(DAY)
    assert losses.standing().count() == 1  # it has been back in between
    assert call("rebuild_vintages", "--weeks", str(WEEK)).code == 0
    assert not losses.standing().exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_closing_the_week_again_makes_a_lost_file_again(snapshot: AnalyticsSnapshot, damage: str) -> None:
    spoil(file_of(snapshot), damage)
    losses.check(DAY, read=100)
    assert losses.standing().exists()

    calculated = analytics.calculate_week(WEEK)

    told = "computed from the same captures already; the lost file of its symbols was made again"
    assert (calculated.reason, calculated.snapshot) == (told, snapshot)
    losses.check(DAY)
    assert not losses.standing().exists()
    assert analytics.calculate_week(WEEK).reason == "computed from the same captures already"


def test_what_another_calculation_made_is_not_made_again(snapshot: AnalyticsSnapshot) -> None:
    AnalyticsSnapshot.objects.update(calculation_version=9)
    file_of(snapshot).unlink()

    ran = call("rebuild_vintages", "--json")

    assert (ran.code, ran.document["files"][1]["fate"]) == (1, "LOST")
    assert "cannot be made again: the calculation is version 1 now" in ran.document["files"][1]["why"]
