"""A vintage file is what its payload says: made again, it has the same rows, the same hash and the same bytes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import Capture
from pipeline.vintages import archive, read, store
from pipeline.vintages.archive import ArchiveDamaged
from pipeline.vintages.store import VintageDamaged
from tests.support.engines import Ledger
from tests.support.sources_in_memory import MemorySource, psv, row
from tests.vintages.frames import KEY, captured, text_of
from tests.vintages.test_store import spoil, vintage_files

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
ROWS = ["AAPL UBSA 100.5 2", "MSFT A firm 25.25 1"]


@pytest.fixture
def capture(ledger: Ledger) -> Capture:
    source = MemorySource()
    source.publish(KEY, psv(row("AAPL", "UBSA", "100.5", 2)), psv(row("MSFT", "", "25.25", name="A firm")))
    return captured(source.fetch(KEY), NOON)


@pytest.mark.promise(13)
@pytest.mark.parametrize("damage", ["removed", "cut", "flipped", "emptied"])
def test_a_lost_or_damaged_file_is_made_again_as_it_was(capture: Capture, archive_dir: Path, damage: str) -> None:
    before = vintage_files(archive_dir)
    spoil(archive_dir / capture.vintage_path, damage)
    file = store.rebuild(capture)

    store.verify(Capture.objects.get(pk=capture.pk))
    assert (file.path, file.size, file.sha256) == (capture.vintage_path, capture.vintage_bytes, capture.vintage_sha256)
    assert (file.rows, text_of(read.of_capture(capture)), vintage_files(archive_dir)) == (2, ROWS, before)


@pytest.mark.promise(13)
def test_limits_that_were_lowered_since_keep_no_capture_from_its_rows(
    ledger: Ledger, settings: Settings, archive_dir: Path
) -> None:
    source = MemorySource()
    source.publish(KEY, psv(row("AAPL", "UBSA", "100.5", 2), "no row", row("MSFT", "UBSA", "25.25")))
    settings.MARKETSPINE_MAX_REJECT_SHARE = 0.5
    capture = captured(source.fetch(KEY), NOON)
    settings.MARKETSPINE_MAX_REJECT_SHARE, settings.MARKETSPINE_MAX_ROWS = 0.01, 1
    spoil(archive_dir / capture.vintage_path, "removed")
    assert store.rebuild(capture).rows == 2


def test_other_bytes_of_the_same_rows_get_their_hash_into_the_ledger(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of polars may compress otherwise."""
    before = capture.vintage_sha256
    monkeypatch.setattr(store, "encoded", partial(store.encoded, group=1))
    file = store.rebuild(capture)

    held = Capture.objects.get(pk=capture.pk)
    assert (held.vintage_path, held.vintage_sha256, held.vintage_bytes) == (file.path, file.sha256, file.size)
    assert held.vintage_sha256 != before
    store.verify(held)
    assert text_of(read.of_capture(held)) == ROWS


def test_without_its_payload_it_is_not_made_again(capture: Capture, archive_dir: Path) -> None:
    archive_file = archive_dir / archive.path_of(capture.payload_sha256)
    archive_file.unlink()
    spoil(archive_dir / capture.vintage_path, "removed")
    with pytest.raises(ArchiveDamaged, match=r"the archived payload .* is missing"):
        store.rebuild(capture)


def test_a_payload_that_reads_as_other_rows_makes_no_file(capture: Capture, archive_dir: Path) -> None:
    """A newer parser, say: what stands in the place of the rows would be another vintage."""
    before = (archive_dir / capture.vintage_path).read_bytes()
    capture.content_hash = "0" * 64
    with pytest.raises(VintageDamaged, match="its payload does not read as the captured rows any more"):
        store.rebuild(capture)
    assert (archive_dir / capture.vintage_path).read_bytes() == before


def test_what_retention_removed_meanwhile_is_not_there_again(capture: Capture, archive_dir: Path) -> None:
    Capture.objects.filter(pk=capture.pk).update(pruned_at=NOON)
    store.discard(capture.vintage_path)
    store.rebuild(capture)
    assert not (archive_dir / capture.vintage_path).exists()


def test_all_files_lost_are_made_again_though_their_folder_is_gone(capture: Capture, archive_dir: Path) -> None:
    shutil.rmtree(archive_dir / "vintages")
    store.rebuild(capture)
    assert text_of(read.of_capture(capture)) == ROWS


def test_a_bare_folder_accepted_by_a_person_is_not_away(capture: Capture, archive_dir: Path) -> None:
    shutil.rmtree(archive_dir)
    store.begin_anew()
    with pytest.raises(VintageDamaged, match="is missing"):
        store.verify(capture)
    store.begin_anew()
    assert vintage_files(archive_dir) == ["vintages/README.txt"]
