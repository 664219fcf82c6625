"""Nothing outside the root is read, nothing but regular files, and no file that changes meanwhile.

Where a file must change at a certain moment, the test waits for the system call itself (`sys.setprofile`) and then
changes the real file.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import pytest

from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.base import NotPublished, SourceError, TransientSourceError, UnsafeSource
from pipeline.finra.sources.files.source import FilesSource, SingleFile

KEY = PartitionKey(date(2025, 11, 14), Tier.OTC)
NAME = "otc_week_2025-11-14.psv"
CAP = 1000
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (tmp_path / "secret").write_bytes(b"outside\n")
    return path


@pytest.fixture
def source(root: Path) -> FilesSource:
    return FilesSource(root, CAP)


@contextmanager
def right_after(call: Callable[..., object], change: Callable[[], object]) -> Iterator[None]:
    """Run `change` once, when the built-in `call` has returned for the first time."""

    def watch(frame: FrameType, event: str, called: object) -> None:
        if event == "c_return" and called is call:
            sys.setprofile(None)
            change()

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be an ordinary user: for root, whom permissions do not bind, that is `nobody` for a while."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(NOBODY)
    except OSError:
        pytest.skip("root here cannot become another user, and root may read everything")
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A root that any user reaches; pytest's own folders are for their owner only."""
    with TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        yield Path(made)


def test_a_link_within_the_root_is_followed(root: Path, source: FilesSource) -> None:
    (root / "2025").mkdir()
    (root / "2025" / "november.psv").write_bytes(b"inside\n")
    (root / "current").symlink_to("2025")
    (root / NAME).symlink_to("current/november.psv")
    payload = source.fetch(KEY)
    assert (payload.content, payload.uri) == (b"inside\n", f"files:{NAME}")


def test_a_root_that_is_itself_a_link_is_followed(root: Path, tmp_path: Path) -> None:
    (root / "file").write_bytes(b"inside\n")
    (root / NAME).symlink_to("file")
    (tmp_path / "link").symlink_to("source")
    assert FilesSource(tmp_path / "link", CAP).fetch(KEY).content == b"inside\n"


@pytest.mark.parametrize("target", ["../secret", "{tmp}/secret", "way/secret", "/etc/passwd", "/dev/zero", "..", "/"])
def test_a_link_out_of_the_root_is_refused(target: str, root: Path, tmp_path: Path, source: FilesSource) -> None:
    (root / "way").symlink_to("..")
    (root / NAME).symlink_to(target.format(tmp=tmp_path))
    with pytest.raises(UnsafeSource) as refused:
        source.fetch(KEY)
    assert str(refused.value) == f"{NAME} is a link that leads out of the source folder: put the file itself there"


def test_a_folder_beside_the_root_that_begins_like_it_is_outside(
    root: Path, tmp_path: Path, source: FilesSource
) -> None:
    (tmp_path / "source-old").mkdir()
    (tmp_path / "source-old" / "file").write_bytes(b"outside\n")
    (root / NAME).symlink_to("../source-old/file")
    with pytest.raises(UnsafeSource, match="leads out of the source folder"):
        source.fetch(KEY)


def test_a_file_swapped_for_a_link_after_the_listing_is_refused(root: Path, source: FilesSource) -> None:
    def swap() -> None:
        (root / NAME).unlink()
        (root / NAME).symlink_to("../secret")

    (root / NAME).write_bytes(b"inside\n")
    with right_after(os.listdir, swap), pytest.raises(UnsafeSource, match="leads out of the source folder"):
        source.fetch(KEY)


def test_a_folder_swapped_for_a_link_is_refused(root: Path, source: FilesSource) -> None:
    """The first call that opens anything opens the root, to walk from it to the target checked before."""

    def swap() -> None:
        (root / "inner").rename(root / "moved")
        (root / "inner").symlink_to("..")

    (root / "inner").mkdir()
    (root / "inner" / "secret").write_bytes(b"inside\n")
    (root / NAME).symlink_to("inner/secret")
    assert source.fetch(KEY).content == b"inside\n"
    with right_after(os.open, swap), pytest.raises(UnsafeSource, match="or that changed meanwhile"):
        source.fetch(KEY)
    with pytest.raises(UnsafeSource, match="leads out of the source folder"):
        source.fetch(KEY)


def test_a_link_to_nothing_is_explained(root: Path, source: FilesSource) -> None:
    (root / NAME).symlink_to("gone")
    with pytest.raises(SourceError, match=r"is not there \(any more\), or is a link to nothing$"):
        source.fetch(KEY)


def test_a_link_to_itself_is_refused(root: Path, source: FilesSource) -> None:
    (root / NAME).symlink_to(NAME)
    with pytest.raises(UnsafeSource, match="is a link that leads in circles"):
        source.fetch(KEY)


@pytest.mark.parametrize("tier", ["../secret", "..", "/etc/passwd\0", "a/b"])
def test_a_key_that_is_no_tier_leads_nowhere(tier: str, source: FilesSource) -> None:
    crafted = PartitionKey(date(2025, 11, 14), tier)  # type: ignore[arg-type]
    assert source.available([crafted]) == set()
    with pytest.raises(NotPublished):
        source.fetch(crafted)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _socket], ids=["fifo", "folder", "socket"])
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "behind a link"])
def test_what_is_not_a_regular_file_is_refused_without_waiting(
    make: Callable[[Path], None], linked: bool, root: Path, source: FilesSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)  # a socket's path has at most 107 bytes
    make(Path("other" if linked else NAME))
    if linked:
        (root / NAME).symlink_to("other")
    with pytest.raises(UnsafeSource) as refused:
        source.fetch(KEY)
    assert str(refused.value) in (
        f"{NAME} is a folder, not a file: put or name the file itself",
        f"{NAME} is a device, a pipe or a socket, and not a regular file: put the file itself there",
    )


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/zero", "zero is a device, a pipe or a socket"),
        ("/dev/null", "null is a device, a pipe or a socket"),
        ("/", "/ is a folder, not a file"),
        ("/dev", "dev is a folder, not a file: put or name the file itself"),
    ],
)
def test_a_device_or_folder_named_by_an_operator_is_refused(path: str, said: str) -> None:
    with pytest.raises(UnsafeSource, match=f"^{said}"):
        SingleFile(Path(path), KEY, CAP).fetch(KEY)


def test_a_file_named_by_an_operator_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^otc\.csv is not there \(any more\)"):
        SingleFile(tmp_path / "otc.csv", KEY, CAP).fetch(KEY)


def test_the_cap_is_the_last_size_read(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(b"x" * CAP)
    assert len(source.fetch(KEY).content) == CAP
    (root / NAME).write_bytes(b"x" * (CAP + 1))
    with pytest.raises(UnsafeSource) as refused:
        source.fetch(KEY)
    assert str(refused.value) == (
        f"{NAME} has 1001 bytes, more than the 1000 allowed: if that is right, raise MARKETSPINE_MAX_FILE_BYTES"
    )


def test_a_file_larger_than_the_cap_is_refused_before_it_is_read(root: Path, source: FilesSource) -> None:
    """A sparse file of 1 TiB: reading it would not end in time."""
    (root / NAME).touch()
    os.truncate(root / NAME, 2**40)
    with pytest.raises(UnsafeSource, match=r" has 1099511627776 bytes, more than the 1000 allowed"):
        source.fetch(KEY)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def _rewrite(path: Path) -> None:
    """Other bytes, as many as before."""
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, (1, 1))


@pytest.mark.parametrize("change", [_append, _rewrite, lambda path: os.truncate(path, 3)], ids=["grown", "new", "cut"])
@pytest.mark.parametrize("moment", [os.fstat, os.read], ids=["before the read", "after the read"])
def test_a_file_that_changes_while_read_is_retried(
    change: Callable[[Path], None], moment: Callable[..., object], root: Path, source: FilesSource
) -> None:
    (root / NAME).write_bytes(b"rows, rows\n")
    with right_after(moment, lambda: change(root / NAME)), pytest.raises(TransientSourceError) as refused:
        source.fetch(KEY)
    assert str(refused.value) == f"{NAME} changed while it was read: try again when its writer has finished"


def test_a_file_that_goes_after_the_listing_is_explained(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(b"rows\n")
    with (
        right_after(os.listdir, (root / NAME).unlink),
        pytest.raises(SourceError, match=rf"^{NAME} is not there \(any more\)"),
    ):
        source.fetch(KEY)


def test_a_file_replaced_while_read_stays_the_opened_one(root: Path, source: FilesSource) -> None:
    (root / NAME).write_bytes(b"old\n")
    (root / "new").write_bytes(b"newer\n")
    with right_after(os.read, lambda: (root / "new").rename(root / NAME)):
        assert source.fetch(KEY).content == b"old\n"
    assert source.fetch(KEY).content == b"newer\n"


def test_a_file_without_read_permission_says_what_to_do(open_root: Path) -> None:
    (open_root / NAME).write_bytes(b"rows\n")
    (open_root / NAME).chmod(0)
    with ordinary_user(), pytest.raises(SourceError) as refused:
        FilesSource(open_root, CAP).fetch(KEY)
    assert str(refused.value) == f"{NAME} may not be read by this user: give it read permission (chmod a+r)"


def test_a_folder_without_read_permission_says_what_to_do(open_root: Path) -> None:
    open_root.chmod(0)
    with ordinary_user(), pytest.raises(SourceError) as refused:
        FilesSource(open_root, CAP).available([KEY])
    assert str(refused.value) == (
        f"the source folder {open_root} cannot be read (Permission denied): give this user read and search "
        "permission (chmod a+rx), or set MARKETSPINE_SOURCE_DIR"
    )


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_no_outcome_leaves_a_file_open(root: Path, source: FilesSource) -> None:
    opened = len(os.listdir("/proc/self/fd"))
    for make in (lambda path: path.write_bytes(b"rows\n"), os.mkfifo, os.mkdir, lambda path: path.symlink_to("a/b")):
        path = root / NAME
        make(path)
        with suppress(SourceError):
            source.fetch(KEY)
        path.rmdir() if path.is_dir() else path.unlink()
    assert len(os.listdir("/proc/self/fd")) == opened
