"""Backups: what is in them, what is noticed to be missing, and what a drill proves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from marketspine.addresses import database
from pipeline.keeping import databases, exclusive, repository
from pipeline.models import Backup, Capture, Drill, OperatorLogEntry
from pipeline.vintages import archive
from tests.faults.extent import EVERYTHING
from tests.management.calling import Ran, call
from tests.management.publications import DAY, OTC, WEEK, restate
from tests.support.engines import Ledger
from tests.support.ledger_state import ledger_state, row_counts


def created(*arguments: object) -> Ran:
    return call("backup", "create", "--json", *arguments)


def failing(ran: Ran) -> list[str]:
    """What a verification or a drill found wrong."""
    return [one["what"] for one in ran.document["checks"] if not one["passed"]]


def files(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "files").rglob("*") if path.is_file())


@pytest.mark.each_database
def test_each_file_is_kept_once_in_all_backups(
    ledger: Ledger, restated: list[Capture], source_dir: Path, place: Path
) -> None:
    first = created()
    made = first.document
    assert (first.code, made["missing"]) == (0, [])
    assert made["files"] == made["new_files"] == len(files(place)) == 4 * 3 + 2  # payload, vintage, record; symbols
    assert "DATABASE_URL" not in json.dumps(made["environment"])

    restate(source_dir, OTC, "102")
    assert call("run_weekly", "--weeks", WEEK, "--run-date", DAY).code == 0
    Backup.objects.update(name="the first")
    (place / "backups" / made["name"]).rename(place / "backups" / "20000101T000000Z")
    second = created().document
    assert (second["files"], second["new_files"]) == (5 * 3 + 3, 4)
    assert call("backup", "verify", "--all", "--json").code == 0
    acts = OperatorLogEntry.objects.filter(act="BACKUP").order_by("pk").values_list("outcome", "sentence")
    names = (made["name"], second["name"])
    assert [(outcome, sentence[:16]) for outcome, sentence in acts] == [("DONE", name) for name in names]


def test_a_backup_that_lacks_files_is_no_good_one(
    ledger: Ledger, restated: list[Capture], archive_dir: Path, place: Path
) -> None:
    payload, vintage = archive.path_of(restated[0].payload_sha256), restated[1].vintage_path
    (archive_dir / payload).write_bytes(b"not what was archived")
    (archive_dir / vintage).unlink()

    ran = created()
    assert (ran.code, sorted(ran.document["missing"])) == (1, sorted([payload, vintage]))
    assert (Backup.objects.get().missing, Backup.objects.newest()) == (2, None)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("file", "15 of 15 were read and are what was kept; 1 are not: "),
        ("short", "files are there; 1 are not: "),
        ("database", "is what was written"),
    ],
)
def test_a_damaged_backup_is_found_out(
    ledger: Ledger, restated: list[Capture], place: Path, spoil: str, found: str
) -> None:
    made = created().document
    spoilt = {
        "database": next((place / "backups" / made["name"]).glob("database.*")),
        "file": place / "files" / restated[0].vintage_sha256[:2] / restated[0].vintage_sha256,
    }
    path = spoilt.get(spoil, spoilt["file"])
    content = path.read_bytes()
    path.write_bytes(content[:-1] if spoil == "short" else content[:-1] + bytes([content[-1] ^ 1]))

    ran = call("backup", "verify", "--all", "--json")
    assert ran.code == 1
    assert any(found.removeprefix("15 of 15 ") in what for what in failing(ran))


@pytest.mark.each_database
def test_a_drill_proves_the_backup_and_leaves_nothing_behind(
    ledger: Ledger, restated: list[Capture], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETSPINE_DEMO", "1")  # the demo's own drill: what is restored is not in var/demo
    made, before, state = created().document, row_counts(), ledger_state()

    ran = call("backup", "drill", "--seed", 7, "--json")

    assert (ran.code, failing(ran), ran.document["name"]) == (0, [], made["name"])
    told = [one["what"] for one in ran.document["checks"]]
    assert "OTC: 2 captures, 8 rows, 360 shares, 14 trades" in told
    assert sum("reads as its rows" in what for what in told) == 4
    assert any("has the rows of" in what for what in told)
    assert any("computes to the same figures" in what for what in told)
    drill = Drill.objects.get()
    assert (drill.passed, drill.report["seed"], Drill.objects.newest_passed()) == (True, 7, drill)
    assert ledger_state() == state
    changed = {table.removeprefix("pipeline_") for table, count in row_counts().items() if count != before[table]}
    assert changed == {"drill", "operatorlogentry", "operatorlogsubject", "tallyentry"}
    assert sorted(path.name for path in place.iterdir()) == ["backups", "files"]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'marketspine_drill_%%'")
            assert cursor.fetchone() == (0,)


@pytest.mark.skipif(not EVERYTHING, reason="with FAULTS=all: three processes; a good drill runs always")
def test_a_drill_of_a_damaged_backup_fails(ledger: Ledger, restated: list[Capture], place: Path) -> None:
    created()
    manifest = repository.Repository(place).read()
    payload = next(one for one in manifest.files if one.path == archive.path_of(restated[3].payload_sha256))
    kept = repository.Repository(place).path_of(payload.sha256)
    kept.write_bytes(os.urandom(payload.bytes))

    ran = call("backup", "drill", "--json")
    assert ran.code == 1
    assert [what.partition(":")[0] for what in failing(ran)] == ["the payload of finra.otc_transparency"]
    assert not Drill.objects.get().passed
    assert Drill.objects.newest_passed() is None


def test_a_backup_that_was_cut_short_is_none(
    ledger: Ledger, restated: list[Capture], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(repository.Repository, "complete", _die)
        assert created().code == 1
    verified = call("backup", "verify")
    assert (verified.code, "has no complete backup" in verified.err) == (2, True)
    assert not Backup.objects.exists()
    (begun,) = (place / "backups").iterdir()
    begun.rename(place / "backups" / "20000101T000000Z")
    assert created().document["new_files"] == 0


def _die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.each_database
def test_one_backup_or_removal_at_a_time(ledger: Ledger, restated: list[Capture], place: Path) -> None:
    with exclusive.alone():
        ran = call("backup", "create")
    assert (ran.code, "another backup, or a removal of pruned captures, is under way" in ran.err) == (2, True)
    assert OperatorLogEntry.objects.get(act="BACKUP").outcome == "REFUSED"
    assert created().code == 0


@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_a_missing_or_too_old_pg_dump_is_said_first(
    ledger: Ledger, place: Path, settings: Settings, tmp_path: Path
) -> None:
    settings.MARKETSPINE_PG_BIN = str(tmp_path / "bin")
    ran = call("backup", "create")
    assert (ran.code, "pg_dump is not in" in ran.err) == (2, True)

    old = tmp_path / "bin" / "pg_dump"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 12.22 (Debian 12.22-1)'\n")
    old.chmod(0o755)
    ran = call("backup", "create")
    assert (ran.code, "pg_dump is version 12, and the server is version" in ran.err) == (2, True)
    assert not place.exists()


def test_a_backup_made_by_other_means_is_recorded(ledger: Ledger) -> None:
    assert call("backup", "record", "the snapshots of the volume", "--at", "2025-12-15 03:00").code == 0
    backup = Backup.objects.get()
    assert (backup.is_outside, backup.made_at.isoformat()) == (True, "2025-12-15T03:00:00+00:00")
    assert call("backup", "record", "x", "--at", "2999-01-01 03:00").code == 2
    assert call("backup", "record", "x").code == 2
    assert Backup.objects.count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/spine%20of%20ours/m.sqlite3",
        "postgresql://spine:p%40ss%2Fw%3Ard@db.example:5433/spine?sslmode=require&application_name=a%20b",
        "postgresql://spine@one:5432,two:5433/spine?target_session_attrs=read-write",
        "postgresql://spine@[::1]:5432/spine",
        "postgresql://spine@/spine?host=/run/postgresql&port=5433",
    ],
)
def test_an_address_is_written_as_it_is_read(url: str) -> None:
    entry = database(url)
    assert database(databases.address_of(entry)) == entry


def test_a_backup_that_failed_leaves_no_dump(
    ledger: Ledger, restated: list[Capture], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.keeping.backups.SPARE", 2**60)
    ran = created()
    assert (ran.code, "bytes free, and the backup takes" in ran.err) == (2, True)
    assert list((place / "backups").iterdir()) == []
    assert OperatorLogEntry.objects.get(act="BACKUP").outcome == "REFUSED"
