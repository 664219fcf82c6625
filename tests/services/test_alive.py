"""The alive file: touched by a worker that goes round, left alone by one that is stuck, and read by a probe of a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from marketspine import alive
from pipeline.engine.beat import Scheduler
from tests.support.engines import Ledger


def probe(folder: Path | str, *words: str) -> int:
    """The exit code of the probe, where `folder` is that of the alive files."""
    ran = subprocess.run(
        ["sh", "marketspine/alive.sh", *words],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "MARKETSPINE_RUN_DIR": str(folder)},
        capture_output=True,
        check=False,
    )
    return ran.returncode


def test_the_probe_takes_a_file_that_was_touched_of_late(settings: Settings, tmp_path: Path) -> None:
    settings.MARKETSPINE_RUN_DIR = str(tmp_path / "run")
    assert probe(tmp_path / "run", "ingest", "180") != 0
    alive.touch("ingest")
    assert probe(tmp_path / "run", "ingest", "180") == 0
    assert probe(tmp_path / "run", "calc", "180") != 0
    long_ago = time.time() - 200
    os.utime(tmp_path / "run" / "ingest.alive", (long_ago, long_ago))
    assert [probe(tmp_path / "run", "ingest", seconds) for seconds in ("180", "300")] == [1, 0]
    alive.touch("ingest")
    assert probe(tmp_path / "run", "ingest") == 0


def test_the_probe_says_what_it_lacks() -> None:
    assert probe("", "ingest") == 2
    if shutil.which("shellcheck"):
        checked = subprocess.run(["shellcheck", "marketspine/alive.sh"], cwd=settings.BASE_DIR, check=False)
        assert checked.returncode == 0


def test_a_folder_that_cannot_be_written_is_warned_of(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    settings.MARKETSPINE_RUN_DIR = str(tmp_path / "file" / "run")
    alive.touch("ingest")
    assert "ingest.alive cannot be touched: Not a directory" in caplog.text


def test_a_loop_that_stands_still_is_stuck_but_not_while_it_waits_for_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 1000.0
    monkeypatch.setattr("marketspine.alive.time.monotonic", lambda: clock)
    rounds = alive.Rounds()
    assert not rounds.is_stuck()  # not connected yet
    rounds.begin()
    clock += 91
    assert rounds.is_stuck()
    rounds.go_on()
    assert not rounds.is_stuck()
    clock += 91
    rounds.end()
    rounds.go_on()  # a timer that was still to come
    clock += 91
    assert not rounds.is_stuck()


def test_beat_touches_its_file_with_each_round(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    from celery import current_app  # noqa: PLC0415 - not configured before there are settings

    settings.MARKETSPINE_RUN_DIR = str(tmp_path)
    PeriodicTask.objects.update(enabled=False)
    Scheduler(app=current_app, lazy=True).tick()
    assert (tmp_path / "beat.alive").exists()
