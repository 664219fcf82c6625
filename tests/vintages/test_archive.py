"""The archive: what is put is what is got, and nothing else ever is."""

from __future__ import annotations

import errno
import hashlib
import random
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vintages import archive, files
from pipeline.vintages.archive import ArchiveDamaged
from tests.support.failing import failing_at

CONTENT = b"tierDescription|issueSymbolIdentifier\n" + bytes(random.Random(7).randbytes(50_000))  # does not compress
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHORT = SHA256[:16]


def file_of(archive_dir: Path, sha256: str = SHA256) -> Path:
    return archive_dir / archive.path_of(sha256)


def found(archive_dir: Path) -> list[Path]:
    return [path for path in archive_dir.rglob("*") if path.is_file()]


def test_a_payload_is_kept_as_zstd_under_its_sha256(archive_dir: Path) -> None:
    archive.put(CONTENT, SHA256)
    assert archive.get(SHA256) == CONTENT
    assert found(archive_dir) == [archive_dir / "payloads" / SHA256[:2] / f"{SHA256}.zst"]
    assert zstandard.ZstdDecompressor().decompress(file_of(archive_dir).read_bytes()) == CONTENT


@pytest.mark.skipif(not shutil.which("zstd"), reason="the program zstd is not on this machine")
def test_the_program_zstd_opens_a_payload(archive_dir: Path) -> None:
    archive.put(CONTENT, SHA256)
    command = ["zstd", "--decompress", "--stdout", "--quiet", str(file_of(archive_dir))]
    assert subprocess.run(command, check=True, capture_output=True).stdout == CONTENT


def test_a_payload_compressed_by_hand_serves_and_gets_its_checksum(archive_dir: Path) -> None:
    archive.put(CONTENT, SHA256)
    as_written = file_of(archive_dir).read_bytes()
    file_of(archive_dir).write_bytes(zstandard.compress(CONTENT))
    assert archive.get(SHA256) == CONTENT
    assert archive.is_whole(SHA256)
    assert not archive.restore(CONTENT, SHA256)  # it was not lost
    assert file_of(archive_dir).read_bytes() == as_written


def test_the_file_of_another_payload_is_found_out_though_its_checksum_holds(archive_dir: Path) -> None:
    other = hashlib.sha256(b"another").hexdigest()
    archive.put(b"another", other)
    file_of(archive_dir).parent.mkdir(parents=True, exist_ok=True)
    file_of(archive_dir).write_bytes(file_of(archive_dir, other).read_bytes())
    assert archive.restore(CONTENT, SHA256)
    assert archive.get(SHA256) == CONTENT


def test_a_name_is_on_the_disk_with_its_folders(archive_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that write the same file one gives it its name, and may be killed before the folder is on the disk."""
    synced: list[str] = []
    monkeypatch.setattr(files, "_sync", synced.append)
    for _ in range(2):
        archive.put(CONTENT, SHA256)
        assert synced[-3:] == [f"payloads/{SHA256[:2]}", "payloads", ""]
        files.place("vintages/week/tier/v0001.parquet", CONTENT)
        assert synced[-4:] == ["vintages/week/tier", "vintages/week", "vintages", ""]
        synced.clear()


@pytest.mark.parametrize("content", [b"", b"\0", b"a" * 5_000_000])
def test_any_bytes_come_back(content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    archive.put(content, sha256)
    assert archive.get(sha256) == content


@pytest.mark.promise(2)
def test_a_payload_put_twice_is_one_file_and_not_written_again(archive_dir: Path) -> None:
    archive.put(CONTENT, SHA256)
    written = file_of(archive_dir).stat()
    archive.put(CONTENT, SHA256)
    again = file_of(archive_dir).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert len(found(archive_dir)) == 1


def test_a_full_disk_is_told_with_the_file(archive_dir: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")  # as fsync and write have it: without the file
    with (
        failing_at("file.flush.before", full),
        pytest.raises(OSError, match="No space left on device") as refused,
    ):
        archive.put(CONTENT, SHA256)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, str(file_of(archive_dir)))
    assert found(archive_dir) == []


def test_a_missing_payload_is_told_with_its_place() -> None:
    with pytest.raises(ArchiveDamaged) as damage:
        archive.get(SHA256)
    path = f"payloads/{SHA256[:2]}/{SHA256}.zst"
    assert str(damage.value) == f"the archived payload {SHORT} is missing ({path})"


def test_a_payload_that_is_another_one_is_found_out(archive_dir: Path) -> None:
    archive.put(CONTENT, SHA256)
    file_of(archive_dir).write_bytes(zstandard.compress(b"another"))
    with pytest.raises(ArchiveDamaged) as damage:
        archive.get(SHA256)
    assert str(damage.value) == f"the archived payload {SHORT} is not what was archived: its hash differs"


@pytest.mark.parametrize("length", [0, 1, 4, 9, 1000, -archive.CHECKSUM_BYTES - 1])
def test_a_truncated_payload_is_found_out_and_put_whole_again(archive_dir: Path, length: int) -> None:
    """A process was killed while it wrote, or the disk was full."""
    archive.put(CONTENT, SHA256)
    whole = file_of(archive_dir).read_bytes()
    file_of(archive_dir).write_bytes(whole[:length])
    with pytest.raises(ArchiveDamaged, match=f"^the archived payload {SHORT} cannot be decompressed: ."):
        archive.get(SHA256)
    archive.put(CONTENT, SHA256)
    assert archive.get(SHA256) == CONTENT
    assert found(archive_dir) == [file_of(archive_dir)]


@given(st.integers(0, 200) | st.integers(0, 50_000), st.integers(1, 255))
def test_an_altered_byte_never_goes_unnoticed(archive_dir: Path, at: int, mask: int) -> None:
    """Also in the header, where it may declare a size beyond any memory."""
    archive.put(CONTENT, SHA256)
    as_written = file_of(archive_dir).read_bytes()
    stored = bytearray(as_written)
    stored[at % len(stored)] ^= mask
    file_of(archive_dir).write_bytes(stored)
    with suppress(ArchiveDamaged):
        assert archive.get(SHA256) == CONTENT
    assert not archive.is_whole(SHA256)
    archive.put(CONTENT, SHA256)
    assert file_of(archive_dir).read_bytes() == as_written
    assert archive.get(SHA256) == CONTENT


def test_a_declared_size_beyond_memory_is_damage(archive_dir: Path) -> None:
    """Magic number, a descriptor for a size of 8 bytes, that size."""
    file_of(archive_dir).parent.mkdir(parents=True)
    file_of(archive_dir).write_bytes(b"\x28\xb5\x2f\xfd\xe0" + (2**62).to_bytes(8, "little") + b"\x01\x00\x00")
    with pytest.raises(
        ArchiveDamaged, match=r"cannot be decompressed: it declares a size that does not fit into memory$"
    ):
        archive.get(SHA256)


@pytest.mark.promise(10)
def test_two_that_archive_the_same_payload_at_once_leave_one_whole_file(archive_dir: Path) -> None:
    for attempt in range(20):
        content = CONTENT + bytes([attempt])
        sha256 = hashlib.sha256(content).hexdigest()
        assert at_once(partial(put_and_get, content, sha256)) == [content] * 2
        assert found(file_of(archive_dir, sha256).parent) == [file_of(archive_dir, sha256)]


def put_and_get(content: bytes, sha256: str) -> bytes:
    archive.put(content, sha256)
    return archive.get(sha256)


def at_once(act: Callable[[], bytes]) -> list[bytes]:
    """What `act` returns in each of two threads that start together."""
    start, results = threading.Barrier(2), list[bytes]()

    def run() -> None:
        start.wait(10)
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
