"""Copies of a bucket's files: read once, checked, thrown away in their turn."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.vintages import cache, read
from tests.support.engines import Ledger
from tests.vintages.bucket_service import Fault, Proxy
from tests.vintages.frames import stored, text_of

NOON = datetime(2025, 12, 26, 12, tzinfo=UTC)
LINES = [("AAPL", "UBSA", "100", 2)]


def copies(settings: Settings) -> list[Path]:
    """The copies that there are."""
    return sorted(Path(settings.MARKETSPINE_CACHE_DIR).glob("*/*"))


def test_a_file_is_fetched_once_and_read_here_while_the_bucket_is_away(
    ledger: Ledger, bucket_proxy: Proxy, settings: Settings
) -> None:
    capture = stored(LINES, NOON)
    bucket_proxy.seen.clear()
    for _ in range(3):
        assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2"]
    assert [method for method, _ in bucket_proxy.seen] == ["GET"]
    assert [copy.stem for copy in copies(settings)] == [capture.vintage_sha256]

    bucket_proxy.always(Fault.ERROR)
    assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2"]


def test_a_copy_that_was_changed_is_fetched_again(ledger: Ledger, bucket_proxy: Proxy, settings: Settings) -> None:
    capture = stored(LINES, NOON)
    read.of_capture(capture)
    (copy,) = copies(settings)
    copy.write_bytes(b"x" * copy.stat().st_size)
    assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2"]


def test_where_no_copy_can_be_kept_the_bytes_are_read(ledger: Ledger, bucket_proxy: Proxy, settings: Settings) -> None:
    capture = stored(LINES, NOON)
    Path(settings.MARKETSPINE_CACHE_DIR).write_text("a file, where the folder should be")
    assert text_of(read.of_capture(capture)) == ["AAPL UBSA 100 2"]


def test_what_was_not_used_for_longest_makes_room(
    ledger: Ledger, bucket_proxy: Proxy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MARKETSPINE_CACHE_BYTES = 1
    old, used, new = (stored([("AAPL", "UBSA", f"{number}", 2)], NOON) for number in (1, 2, 3))
    for capture in (old, used):
        read.of_capture(capture)
    long_ago = time.time() - cache.IN_USE_SECONDS - 60
    for copy in copies(settings):
        os.utime(copy, (long_ago, long_ago))
    read.of_capture(used)
    monkeypatch.setattr(cache, "_looked_at", 0.0)
    read.of_capture(new)
    assert {copy.stem for copy in copies(settings)} == {used.vintage_sha256, new.vintage_sha256}
