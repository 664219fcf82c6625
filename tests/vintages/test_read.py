"""Latest, as of, of this capture: the ledger chooses the files, and their rows are one lazy frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import time_machine

from pipeline.finra import rows
from pipeline.finra.calendar import CalendarError
from pipeline.models import Capture, EntryState, FileCheck, FileState, PruneEntry, PrunePlan
from pipeline.vintages import read, store
from pipeline.vintages.read import NoSuchVintage, Pruned
from pipeline.vintages.store import VintageDamaged
from tests.support.engines import Ledger
from tests.vintages.frames import KEY, T1, WEEK, stored, text_of
from tests.vintages.test_store import spoil

A = [("AAPL", "UBSA", "100", 2), ("BRK.B", "SGMT", "7", 1)]
B = [("AAPL", "UBSA", "101", 2), ("NEWW", "A firm", "9.5", 1)]
ROWS_OF_A, ROWS_OF_B = ["AAPL UBSA 100 2", "BRK.B SGMT 7 1"], ["AAPL UBSA 101 2", "NEWW A firm 9.5 1"]
NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _evening() -> object:
    with time_machine.travel(NOON + 9 * HOUR, tick=False):
        yield


def test_each_vintage_keeps_its_rows_and_the_latest_are_the_newest_ones(ledger: Ledger) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)

    assert text_of(read.of_capture(first)) == ROWS_OF_A
    assert text_of(read.of_capture(second)) == text_of(read.latest([KEY])) == ROWS_OF_B
    assert read.latest([KEY]).collect().schema == rows.SCHEMA


def test_latest_has_the_partitions_asked_for_that_are_captured(ledger: Ledger) -> None:
    stored(A, NOON)
    stored([("IBM", "UBSA", "1", 1)], NOON, key=T1)

    both = read.latest([KEY, T1]).collect()
    assert sorted(both.select("week_ending", "tier").unique().rows()) == [(WEEK, "NMS_TIER_1"), (WEEK, "OTC")]
    assert text_of(read.latest([T1])) == ["IBM UBSA 1 1"]
    assert read.latest([]).collect().equals(rows.empty())


@pytest.mark.promise(5)
def test_as_of_is_answered_by_the_instant_since_which_rows_are_known(ledger: Ledger) -> None:
    stored(A, NOON)
    stored(B, NOON + 2 * HOUR)

    moments = {
        minutes: text_of(read.as_of(NOON + timedelta(minutes=minutes), [KEY])) for minutes in (-1, 0, 119, 120, 540)
    }
    assert moments == {-1: [], 0: ROWS_OF_A, 119: ROWS_OF_A, 120: ROWS_OF_B, 540: ROWS_OF_B}
    assert text_of(read.as_of(NOON + 2 * HOUR - timedelta(microseconds=1), [KEY])) == ROWS_OF_A


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("2025-12-24", []),
        ("2025-12-25", ROWS_OF_A),
        (date(2025, 12, 25), ROWS_OF_A),
        ("2025-12-26 04:59:59.999999", ROWS_OF_A),
        ("2025-12-26 00:00-05:00", ROWS_OF_B),
        ("2025-12-26T05:00:00Z", ROWS_OF_B),
        (datetime(2025, 12, 26, 5, tzinfo=UTC), ROWS_OF_B),
    ],
)
def test_a_person_writes_a_day_which_ends_in_new_york(ledger: Ledger, written: str | date, found: list[str]) -> None:
    """The first capture is known at 23:59 of the 25th in New York, the second at midnight."""
    midnight = datetime(2025, 12, 26, 5, tzinfo=UTC)
    stored(A, midnight - timedelta(microseconds=1))
    stored(B, midnight)

    assert text_of(read.as_of(written, [KEY])) == found


@pytest.mark.parametrize("written", ["2025-12-26", date(2025, 12, 26), NOON + 10 * HOUR, "2025-12-27 00:00"])
def test_what_is_to_come_is_not_answered(ledger: Ledger, written: str | date) -> None:
    stored(A, NOON)
    with pytest.raises(NoSuchVintage, match="is in the future: ask for an instant that has passed"):
        read.as_of(written, [KEY])


@pytest.mark.parametrize("written", ["yesterday", "20251225", "", "2025-13-01", NOON.replace(tzinfo=None), date.max])
def test_what_is_no_instant_is_refused(written: str | date) -> None:
    with pytest.raises(CalendarError):
        read.as_of(written, [KEY])


@pytest.mark.promise(5)
def test_what_retention_removed_is_not_answered_by_another_vintage(ledger: Ledger) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)
    seen_before = Capture.objects.get(pk=first.pk)
    plan = PrunePlan.objects.create(made_at=NOON, policy={}, captures=2, prunable=1, prunable_bytes=0)
    PruneEntry.objects.create(plan=plan, capture=first, state=EntryState.REMOVED)
    Capture.objects.filter(pk=first.pk).update(pruned_at=NOON)
    store.discard(first.vintage_path)

    asked: list[Callable[[], object]] = [
        lambda: read.as_of(NOON, [KEY]),
        lambda: read.of_capture(Capture.objects.get(pk=first.pk)),
        lambda: read.of_capture(seen_before),
        lambda: read.of_captures([second, seen_before]),
    ]
    for ask in asked:
        with pytest.raises(Pruned, match=r"retention has removed its rows \(plan \d+, 2025-12-26\)") as refused:
            ask()
        assert refused.value.since == second.normalized_at
    assert text_of(read.as_of(NOON + HOUR, [KEY])) == ROWS_OF_B


@pytest.mark.parametrize("damage", ["removed", "cut", "emptied"])
def test_a_lost_or_cut_file_is_named_before_anything_is_read(ledger: Ledger, archive_dir: Path, damage: str) -> None:
    first, second = stored(A, NOON), stored(B, NOON + HOUR)
    spoil(archive_dir / first.vintage_path, damage)

    with pytest.raises(VintageDamaged, match=f"^{first}: its vintage file "):
        read.of_captures([second, first])


@pytest.mark.parametrize("damage", ["removed", "cut", "emptied", "flipped"])
def test_a_file_that_is_lost_before_it_is_collected_is_named_too(
    ledger: Ledger, archive_dir: Path, damage: str
) -> None:
    captures = [stored(A, NOON), stored(B, NOON + HOUR)]
    frame = read.of_captures(captures)
    path = archive_dir / captures[1].vintage_path
    spoil(path, damage)
    if damage == "flipped":
        path.write_bytes(path.read_bytes()[:-8] + b"\xff" * 8)

    with pytest.raises(VintageDamaged, match=f"^{captures[1]}: its vintage file "), read.naming_damage(captures):
        frame.collect()


def test_a_file_with_one_flipped_byte_is_never_read_as_other_figures(ledger: Ledger, archive_dir: Path) -> None:
    """Polars reads such a file without a word, or panics, which no `except Exception` catches."""
    capture = stored(A, NOON)
    path = archive_dir / capture.vintage_path
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(VintageDamaged, match="is not what was written: its hash differs"):
            read.of_capture(capture)
    path.write_bytes(whole)
    assert text_of(read.of_capture(capture)) == ROWS_OF_A


def test_of_many_files_those_known_to_be_damaged_are_not_answered_from(
    ledger: Ledger, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "READ_WHOLE", 1)
    captures = [stored(A, NOON), stored(B, NOON + HOUR)]
    path = archive_dir / captures[0].vintage_path
    whole = path.read_bytes()
    spoil(path, "flipped")
    read.of_captures(captures)
    FileCheck.objects.create(sha256=captures[0].vintage_sha256, state=FileState.DAMAGED, since=NOON)
    with pytest.raises(VintageDamaged, match=f"^{captures[0]}: its vintage file is not what was written"):
        read.of_captures(captures)

    path.write_bytes(whole)
    assert text_of(read.of_captures(captures)) == sorted(ROWS_OF_A + ROWS_OF_B)


def test_a_panic_of_the_engine_names_the_damaged_file(ledger: Ledger, archive_dir: Path) -> None:
    capture = stored(A, NOON)
    spoil(archive_dir / capture.vintage_path, "flipped")
    with pytest.raises(VintageDamaged, match="its hash differs"), read.naming_damage([capture]):
        raise pl.exceptions.PanicException("assertion failed: offset + length")


def test_an_error_that_is_no_files_fault_stays_what_it_is(ledger: Ledger) -> None:
    captures = [stored(A, NOON)]
    with pytest.raises(pl.exceptions.ColumnNotFoundError), read.naming_damage(captures):
        read.of_captures(captures).select("colour").collect()
