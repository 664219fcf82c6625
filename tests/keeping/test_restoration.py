"""Restoring into an empty database and archive: what was known is known again, and nothing acts before a person says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings

from pipeline.keeping import databases
from pipeline.models import Backup, Capture, FeedCounter, OperatorLogEntry, Restoration, Run
from pipeline.models.feed import GAP
from pipeline.notices import sending
from pipeline.review import alarms
from pipeline.vintages import read
from tests.management.calling import call
from tests.management.publications import DAY, OTC, WEEK, restate
from tests.notices import telling
from tests.support import servers
from tests.support.engines import Ledger, PostgreSQLLedger, SQLiteLedger, as_default
from tests.support.ledger_state import check_consistent, ledger_state


@contextmanager
def empty(like: Ledger, settings: Settings, folder: Path) -> Iterator[Path]:
    """Another database of the same kind, and another archive: empty. Yields the archive's folder."""
    other = (
        SQLiteLedger(folder / "new.sqlite3") if like.engine == "sqlite" else PostgreSQLLedger(servers.database_url())
    )
    before = settings.STORAGES
    archive = folder / "new archive"
    options = {**before["default"], "OPTIONS": {"location": str(archive)}}
    settings.STORAGES = {**before, "default": options}
    try:
        with as_default(other):
            yield archive
    finally:
        settings.STORAGES = before
        other.drop()


@pytest.mark.each_database
@pytest.mark.promise(5)
def test_a_restored_ledger_answers_as_the_lost_one_and_waits(
    ledger: Ledger, restated: list[Capture], place: Path, settings: Settings, tmp_path: Path, source_dir: Path
) -> None:
    Run.objects.filter(pk=2).update(status="RUNNING", finished_at=None)
    made = call("backup", "create", "--json").document
    lost, known = ledger_state(), [one.normalized_at for one in restated if one.normalized_at]
    answers = [[one.capture_id for one in read.captures_as_of(at, [OTC])] for at in known]

    with empty(ledger, settings, tmp_path):
        ran = call("restore", "--json")
        assert (ran.code, ran.document["name"], ran.document["missing"]) == (0, made["name"], [])
        assert ledger_state() == lost
        check_consistent()
        assert [[one.capture_id for one in read.captures_as_of(at, [OTC])] for at in known] == answers
        assert Run.objects.get(pk=2).status == "INTERRUPTED"
        assert not PeriodicTask.objects.filter(enabled=True).exists()
        restored = Restoration.objects.unfinished()
        assert restored is not None
        assert "weekly run" in restored.schedules
        assert Backup.objects.get().name == made["name"]

        assert [alarm.place for alarm in alarms.raised()] == ["restoration"]
        telling.channel()
        telling.open_()
        assert sending.prepare() == []

        assert call("restore", "--finish").code == 0
        assert len(sending.prepare()) == 1
        on = PeriodicTask.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
        assert list(on) == restored.schedules
        assert PeriodicTask.objects.get(name="prune plan").enabled is False
        assert call("restore", "--finish").code == 2
        acts = OperatorLogEntry.objects.filter(act__startswith="RESTORE_").order_by("pk").values_list("act", flat=True)
        assert list(acts) == ["RESTORE_BACKUP", "RESTORE_FINISH"]

        restate(source_dir, OTC, "103")
        assert call("backfill", "--weeks", WEEK, "--tiers", "OTC", "--run-date", DAY).code == 0
        newest = Capture.objects.order_by("-pk")[0]
        assert newest.position == 7 + GAP + 1
        assert FeedCounter.objects.get().last == newest.position


def test_nothing_is_restored_over_what_is_there(
    ledger: Ledger, restated: list[Capture], place: Path, settings: Settings, tmp_path: Path
) -> None:
    call("backup", "create")
    ran = call("restore")
    assert (ran.code, "is not empty, it has" in ran.err) == (2, True)

    with empty(ledger, settings, tmp_path) as archive:
        other = archive / "payloads" / "ab" / "abcd.zst"
        other.parent.mkdir(parents=True)
        other.write_bytes(b"of another ledger")
        ran = call("restore")
        assert (ran.code, "(payloads/ab/abcd.zst)" in ran.err) == (2, True)
        other.unlink()
        assert call("restore").code == 0


def test_a_restoration_that_was_cut_short_goes_on(
    ledger: Ledger,
    restated: list[Capture],
    place: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call("backup", "create")
    lost = ledger_state()
    with empty(ledger, settings, tmp_path):
        with monkeypatch.context() as dying:
            dying.setattr(databases, "put_back", _die)
            assert call("restore").code == 1
        assert call("restore").code == 0
        assert ledger_state() == lost


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_backup_of_a_newer_version_is_refused(
    ledger: Ledger, restated: list[Capture], place: Path, settings: Settings, tmp_path: Path
) -> None:
    made = call("backup", "create", "--json").document
    path = place / "backups" / made["name"]
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["contents"]["migrations"].append("pipeline.9999_of_the_future")
    (path / "manifest.json").write_text(json.dumps(manifest))
    ran = call("restore")
    assert (ran.code, "is not what was written: its hash differs" in ran.err) == (2, True)

    (path / "COMPLETE").write_text(hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest())
    with empty(ledger, settings, tmp_path):
        ran = call("restore")
    assert (ran.code, "does not know pipeline.9999_of_the_future" in ran.err) == (2, True)
