"""Vintage files: written whole, never changed, found out when they are lost, cut or flipped."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet
import pytest

from pipeline.finra import rows
from pipeline.resilience.retries import is_transient
from pipeline.vintages import read, store
from pipeline.vintages.files import StorageAway
from pipeline.vintages.store import VintageDamaged, VintageFile
from tests.support.engines import Ledger
from tests.support.failing import failing_at
from tests.vintages.frames import KEY, PAYLOAD, frame_of, label_of, stored, text_of

A = [("AAPL", "UBSA", "100", 2), ("MSFT", "A firm", "25.25", 1)]
NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)


def vintage_files(archive_dir: Path) -> list[str]:
    return sorted(str(path.relative_to(archive_dir)) for path in archive_dir.rglob("*") if path.is_file())


def at_once(*acts: Callable[[], VintageFile]) -> list[VintageFile]:
    """What each act returns, each in a thread of its own that starts with the others."""
    start, results = threading.Barrier(len(acts)), dict[int, VintageFile]()

    def run(place: int, act: Callable[[], VintageFile]) -> None:
        start.wait(10)
        results[place] = act()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[place] for place in range(len(acts))]


def test_a_file_has_the_rows_and_says_whose_they_are(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of(A)
    file = store.write_parquet("vintages/one.parquet", frame, {"capture_id": "x"})
    content = (archive_dir / file.path).read_bytes()

    assert file == VintageFile("vintages/one.parquet", len(content), hashlib.sha256(content).hexdigest(), 2)
    held = pl.read_parquet(io.BytesIO(content))
    assert held.schema == rows.SCHEMA
    assert held.equals(frame)
    assert held["shares"].to_list() == [Decimal(100), Decimal("25.25")]
    texts = [name for name, dtype in rows.SCHEMA.items() if dtype == pl.String]
    types = pyarrow.parquet.read_schema(io.BytesIO(content))
    assert {str(types.field(name).type) for name in texts} == {"large_string"}  # those of one text alone, too


def test_the_path_and_the_metadata_name_the_capture(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of(A)
    label = label_of(frame, version=12)
    file = store.write(KEY, frame, label)

    assert file.path == f"vintages/2025-11-14/OTC/v0012-{label.content_hash[:12]}.parquet"
    said = pl.read_parquet_metadata(archive_dir / file.path)
    assert {name: said[name] for name in said if name != "ARROW:schema"} == {
        "capture_id": "finra.otc_transparency:OTC:2025-11-14:20251226.12",
        "version": "12",
        "content_hash": label.content_hash,
        "payload_sha256": PAYLOAD,
        "parser_version": "1",
    }


def test_a_large_frame_lies_in_row_groups_of_16384_rows_by_symbol(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of([(f"S{number // 20:05}", f"firm {number % 20}", "1", 1) for number in range(40_000)])
    file = store.write_parquet("vintages/large.parquet", frame, {})

    groups = pyarrow.parquet.ParquetFile(archive_dir / file.path).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [16_384, 16_384, 7_232]
    column = frame.columns.index("symbol")
    bounds = [groups.row_group(number).column(column).statistics for number in range(3)]
    assert [(bound.min, bound.max) for bound in bounds if bound] == [
        ("S00000", "S00819"),
        ("S00819", "S01638"),
        ("S01638", "S01999"),
    ]


@pytest.mark.promise(9)
def test_written_again_it_is_the_same_file(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of(A)
    first, again = (store.write(KEY, frame, label_of(frame)) for _ in range(2))

    assert first == again
    assert vintage_files(archive_dir) == [first.path]


@pytest.mark.promise(10)
def test_two_writers_at_once_that_write_the_same_have_one_whole_file(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of(A)
    for attempt in range(20):
        write = partial(store.write_parquet, f"vintages/{attempt}/one.parquet", frame, {})
        first, second = at_once(write, write)
        assert first == second
        assert vintage_files(archive_dir / "vintages" / str(attempt)) == ["one.parquet"]


@pytest.mark.promise(1)
def test_of_two_that_write_different_bytes_neither_takes_the_others_name(ledger: Ledger, archive_dir: Path) -> None:
    """The same rows out of two payloads: version and content hash agree, and what the files say of themselves does not."""
    frame = frame_of(A)
    for attempt in range(20):
        path = f"vintages/{attempt}/one.parquet"
        writes = (partial(store.write_parquet, path, frame, {"payload_sha256": payload}) for payload in "ab")
        first, second = at_once(*writes)
        assert first.path != second.path
        assert path in (first.path, second.path)
        for file in (first, second):
            content = (archive_dir / file.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256


def test_a_file_system_without_links_serves_too(
    ledger: Ledger, archive_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    frame = frame_of(A)
    first, again, other = (store.write_parquet("vintages/one.parquet", frame, {"by": by}) for by in "aab")

    assert first == again != other
    assert vintage_files(archive_dir) == sorted([first.path, other.path])


@pytest.mark.promise(9)
def test_a_killed_writer_leaves_a_harmless_part(ledger: Ledger, archive_dir: Path) -> None:
    frame = frame_of(A)
    with failing_at("file.link.before", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        store.write(KEY, frame, label_of(frame))
    left = vintage_files(archive_dir)
    capture = stored(A, NOON)

    assert [name.endswith(".part") for name in left] == [True]
    assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2", "MSFT A firm 25.25 1"]


@pytest.mark.parametrize("damage", ["removed", "cut", "flipped", "emptied"])
def test_a_damaged_file_is_found_out(ledger: Ledger, archive_dir: Path, damage: str) -> None:
    capture = stored(A, NOON)
    store.verify(capture)
    path = archive_dir / capture.vintage_path
    spoil(path, damage)

    how = "is missing" if damage == "removed" else "is not what was written"
    with pytest.raises(
        VintageDamaged, match=f"its vintage file {how}.*rebuild_vintages --weeks 2025-11-14` makes it again"
    ) as found:
        store.verify(capture)
    assert found.value.path == capture.vintage_path


def spoil(path: Path, damage: str) -> None:
    """Do to a file what disks, people and time do."""
    content = bytearray(path.read_bytes())
    if damage == "removed":
        path.unlink()
        return
    content[len(content) // 3] ^= 255
    left = {"cut": bytes(content[:-9]), "flipped": bytes(content), "emptied": b""}
    path.write_bytes(left[damage])


def test_a_folder_that_is_not_mounted_is_away_and_not_empty(ledger: Ledger, archive_dir: Path) -> None:
    """Unmounted, a folder is empty or not there: nothing is read from it, and nothing is written into it."""
    capture = stored(A, NOON)
    frame = frame_of(A)
    acts: list[Callable[[], object]] = [
        lambda: store.verify(capture),
        lambda: read.of_capture(capture),
        lambda: store.write(KEY, frame, replace(label_of(frame), version=2)),
        lambda: read.scan("analytics/one.parquet", 1, ""),
    ]
    shutil.rmtree(archive_dir)
    for folder in (archive_dir.parent, archive_dir, archive_dir / "vintages"):
        folder.mkdir(exist_ok=True)
        for act in acts:
            with pytest.raises(StorageAway, match="is it mounted") as away:
                act()
            assert is_transient(away.value)
    assert not list((archive_dir / "vintages").iterdir())


def test_an_empty_ledger_begins_in_an_empty_folder(ledger: Ledger, archive_dir: Path) -> None:
    assert not archive_dir.exists()
    assert stored(A, NOON).vintage_path


def test_a_file_that_is_discarded_is_gone_and_may_be_gone_already(ledger: Ledger, archive_dir: Path) -> None:
    file = store.write_parquet("vintages/one.parquet", frame_of(A), {})
    store.discard(file.path)
    store.discard(file.path)
    assert vintage_files(archive_dir) == []
