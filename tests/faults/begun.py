"""What most faults disturb: a run over a week to capture and one captured, of which a tier is restated.

The ledger before that run and its undisturbed end are found out once for each database in a test process, and then
restored: finding them out costs more than many a fault.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from pipeline.finra.calendar import PartitionKey, Tier
from tests.faults.prepared import Prepared
from tests.management.calling import call
from tests.management.publications import DAY, OLDER_WEEK, WEEK, publish_week, restate
from tests.support.ledger_state import LedgerState, ledger_state

RUN = ("run_weekly", "--weeks", f"{WEEK},{OLDER_WEEK}", "--run-date", str(DAY))


@dataclass(frozen=True, slots=True)
class Begun:
    """The ledger with its archive, the source as published, the folder that it has to be in; the end of RUN."""

    start: Prepared
    published: Path
    source: Path
    end: LedgerState


class Beginnings:
    """What has been found out, by database."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._found: dict[str, Begun] = {}

    def begin(self, archive_dir: Path, settings: Settings) -> Begun:
        """Bring the wiped ledger in use, the archive and the source to where RUN begins.

        The source is always the same folder, which the runs in the ledger name, published anew for each test.
        """
        engine = connection.vendor
        if engine not in self._found:
            self._found[engine] = _found_out(self._factory.mktemp("begun"), archive_dir, settings)
        begun = self._found[engine]
        begun.start.restore(archive_dir)
        shutil.rmtree(begun.source)
        shutil.copytree(begun.published, begun.source)
        settings.MARKETSPINE_SOURCE_DIR = str(begun.source)
        return begun


def _found_out(folder: Path, archive_dir: Path, settings: Settings) -> Begun:
    published, source = folder / "published", folder / "source"
    source.mkdir()
    settings.MARKETSPINE_SOURCE_DIR = str(source)
    publish_week(source)
    publish_week(source, OLDER_WEEK)
    assert call("run_weekly", "--weeks", OLDER_WEEK, "--run-date", DAY).code == 0
    restate(source, PartitionKey(OLDER_WEEK, Tier.OTC))
    shutil.copytree(source, published)
    start = Prepared(archive_dir, folder / "archive")
    assert call(*RUN).code == 0
    return Begun(start, published, source, ledger_state())
