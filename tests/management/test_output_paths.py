"""The paths that a command writes to: links are followed, and a mistyped or unusable one is told before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.management.base import BadArguments
from pipeline.management.output_paths import file_to_write, folder_to_fill
from pipeline.readers.written import put


def test_a_file_is_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("link", "loop", "plain"):
        put(file_to_write("--out", str(tmp_path / name)), name.encode())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "link": "link",
        "real": "link",
        "loop": "loop",
        "plain": "plain",
    }


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to("gone/file")
    for name, why in (
        ("lost", "gone is not there; make it first"),
        ("no/file", "no is not there"),
        ("", "is a folder"),
    ):
        with pytest.raises(BadArguments, match=why):
            file_to_write("--out", str(tmp_path / name))
    for name, why in (("lost", "lost is not a folder"), ("no/folder", "no is not there; make it first")):
        with pytest.raises(BadArguments, match=why):
            folder_to_fill(tmp_path / name)
